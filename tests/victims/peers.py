#!/usr/bin/env python3
"""peers.py: programs that profilers are compared on, for the benchmarks.

    peers.py list MB            a list that grows by MB, of rows and of blocks
    peers.py backtest           examples/backtest.py with everything mended, without its pauses
    peers.py backtest killed    the same with its third fault

Prints `ready PID`, waits for a line on stdin (or its end), and prints `KIND 1 min NS median NS`:
nanoseconds of this thread's CPU time for all of it. The line that most memory comes from ends in
`# most`; in the example it is that of the one `bytearray(`.
"""

import os
import runpy
import sys
import time


def load(megabytes):
    kept = []
    for number in range(24 * megabytes):
        kept.append({"id": number, "name": "row %d" % number, "data": bytearray(b"x") * 32768})  # most
        kept.extend({"id": i, "tags": ["swing"]} for i in range(24))
    return kept


def backtest(scenario):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/backtest.py")
    sys.argv = [path, "--speed", "0"] + scenario
    sys.modules["memory_monitor"] = None  # the example then does without: no checkpoints, for nobody
    # Its phases are for people, and a profiler's own output may be there, too.
    printed, sys.stdout = sys.stdout, open(os.devnull, "w")
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        sys.stdout = printed


def main():
    kind, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if kind == "list" and rest:
        run = lambda: load(int(rest[0]))
    elif kind == "backtest":
        run = lambda: backtest(["--scenario", "3"] if rest else ["--fixed"])
    else:
        sys.exit(__doc__)
    print("ready %d" % os.getpid(), flush=True)
    sys.stdin.readline()
    started = time.thread_time_ns()
    run()
    took = time.thread_time_ns() - started
    print("%s 1 min %.1f median %.1f" % (kind, took, took), flush=True)


if __name__ == "__main__":
    main()
