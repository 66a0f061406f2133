# Another interpreter with the same program.
#! function: child
#! caller: <module>
import os
import subprocess
import sys


def child(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


if len(sys.argv) > 1:
    child([])
else:
    subprocess.call([os.environ["BATTERY_PYTHON"], __file__, "child"])
