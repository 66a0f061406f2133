# A function that runs when the program has ended.
#! function: save
import atexit


@atexit.register
def save():
    kept = []
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here
