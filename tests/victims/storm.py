#!/usr/bin/env python3
"""storm.py: what a checkpoint costs a Python program, for the benchmarks.

    storm.py marks N [--init]   N calls of memory_checkpoint, in ten rounds
    storm.py work ROUNDS        builds and drops some 20 MiB of objects ROUNDS times, a checkpoint
                                before and after each
    storm.py walk ROUNDS FRAMES maps and unmaps 256 KiB TURNS times below FRAMES Python frames, ROUNDS
                                times: RSS moves fast and nothing else costs much
    storm.py grow MB            grows by so much, in rounds of 16: rows, blocks and arrays, a third each

Prints `ready PID`, waits for a line on stdin (or its end), and prints
`KIND NUMBER min NS median NS`: nanoseconds of this thread's CPU time for one (checkpoint, turn, round
of work, growth), in the best and in the middle round. One round before the first does not count.
With --init the monitor is started first, as programs do; its log, if it writes one, is in the
current directory.
"""

import array
import mmap
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../python"))
from memory_monitor import init_global_monitor, memory_checkpoint  # noqa: E402

MARK_ROUNDS = 10
# Of growth, in MB.
PART = 16
TURNS = 100
PAGE = 4096
# What one fault maps of a file that is in memory (`fault_around_bytes`).
AROUND = 16 * PAGE
MAPPED = 4 * AROUND


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


def walk_step():
    """A round of turns; where there are too few frames for it, it adds them itself."""
    number = os.memfd_create("storm")
    os.write(number, b"x" * MAPPED)
    mapped = mmap.mmap(number, MAPPED, prot=mmap.PROT_READ)

    def turns():
        started = time.thread_time_ns()
        for _ in range(TURNS):
            for at in range(0, MAPPED, AROUND):
                mapped[at]
            mapped.madvise(mmap.MADV_DONTNEED)
        return (time.thread_time_ns() - started) / TURNS

    def below(frames):
        return below(frames - 1) if frames > 0 else turns()

    def step(_):
        # Whoever reads what happens here shall not be late: what it loses would cost nothing.
        time.sleep(0.02)
        # Above are <module>, main, a comprehension's own frame up to 3.11, and this one; below, `turns`.
        return below(int(sys.argv[3]) - 2 - depth(sys._getframe()))

    return step


def depth(frame):
    return 0 if frame is None else 1 + depth(frame.f_back)


def grow_step():
    kept = []

    def step(_):
        started = time.thread_time_ns()
        kept.append([{"id": i, "name": "row %d" % i, "values": [i] * 8} for i in range(850 * PART)])
        kept.append([bytearray(b"x") * 65536 for _ in range(5 * PART)])
        kept.append([array.array("d", [0.5]) * 4096 for _ in range(10 * PART)])
        return time.thread_time_ns() - started

    return step


def main():
    kind, number = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) >= 3 else ("", 0)
    steps = {"marks": lambda: mark_round, "work": lambda: work_round, "walk": walk_step,
             "grow": grow_step}
    if kind not in steps or number <= 0 or (kind == "walk" and len(sys.argv) < 4):
        sys.exit(__doc__)
    if kind == "work" or "--init" in sys.argv:
        init_global_monitor(name="storm")
    step = steps[kind]()
    print("ready %d" % os.getpid(), flush=True)
    sys.stdin.readline()
    rounds = {"marks": MARK_ROUNDS, "grow": number // PART}.get(kind, number)
    each = max(number // MARK_ROUNDS, 1)
    costs = sorted([step(each) for _ in range(rounds + 1)][1:])
    print("%s %d min %.1f median %.1f" % (
        kind, each * rounds if kind == "marks" else rounds, costs[0], costs[len(costs) // 2]))


if __name__ == "__main__":
    main()
