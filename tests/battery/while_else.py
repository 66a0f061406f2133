# The else of a while loop, after a line that was jumped over.
#! function: drain


def drain(kept):
    left = 3
    while left:
        left -= 1
    else:
        while len(kept) < 150:
            kept.append(bytearray(1 << 20))  #! here


drain([])
