# A trace function, which runs on top of what it traces.
#! function: trace
#! caller: idle
import sys

kept = []


def trace(frame, event, argument):
    kept.append(bytearray(1 << 20))  #! here


def idle():
    pass


sys.settrace(trace)
for _ in range(150):
    idle()
