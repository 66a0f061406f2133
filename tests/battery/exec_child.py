# A program that replaces itself by another interpreter.
#! function: second
import os
import sys


def second(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


if len(sys.argv) > 1:
    second([])
else:
    python = os.environ["BATTERY_PYTHON"]
    os.execv(python, [python, __file__, "again"])
