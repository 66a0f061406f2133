# The function of a timer.
#! function: late
#! caller: Timer.run
import threading


def late():
    kept = []
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


timer = threading.Timer(0, late)
timer.start()
timer.join()
