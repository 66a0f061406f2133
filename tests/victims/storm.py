#!/usr/bin/env python3
"""storm.py: what a checkpoint costs a Python program, for the benchmarks.

    storm.py marks N [--init]   N calls of memory_checkpoint, in ten rounds
    storm.py work ROUNDS        builds and drops some 20 MiB of objects ROUNDS times, a checkpoint
                                before and after each

Prints `ready PID`, waits for a line on stdin (or its end), and prints
`marks NUMBER min NS median NS` or `work NUMBER min NS median NS`: nanoseconds of this thread's CPU
time for one, in the best and in the middle round. One round before the first does not count.
With --init the monitor is started first, as programs do; its log, if it writes one, is in the
current directory.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../python"))
from memory_monitor import init_global_monitor, memory_checkpoint  # noqa: E402

MARK_ROUNDS = 10


def mark_round(marks):
    checkpoint = memory_checkpoint
    started = time.thread_time_ns()
    for _ in range(marks):
        checkpoint("storm")
    return (time.thread_time_ns() - started) / marks


def work_round(_):
    started = time.thread_time_ns()
    memory_checkpoint("work_START")
    rows = [{"id": i, "name": "row %d" % i, "values": [i] * 8} for i in range(40_000)]
    blocks = [bytearray(b"x") * 65536 for _ in range(64)]
    memory_checkpoint("work_END")
    del rows, blocks
    return time.thread_time_ns() - started


def main():
    kind, number = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) >= 3 else ("", 0)
    if kind not in ("marks", "work") or number <= 0:
        sys.exit(__doc__)
    if kind == "work" or "--init" in sys.argv:
        init_global_monitor(name="storm")
    print("ready %d" % os.getpid(), flush=True)
    sys.stdin.readline()
    rounds, step = (MARK_ROUNDS, mark_round) if kind == "marks" else (number, work_round)
    each = max(number // MARK_ROUNDS, 1)
    costs = sorted([step(each) for _ in range(rounds + 1)][1:])
    print("%s %d min %.1f median %.1f" % (
        kind, each * rounds if kind == "marks" else rounds, costs[0], costs[len(costs) // 2]))


if __name__ == "__main__":
    main()
