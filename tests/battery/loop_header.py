# The header of a for loop, to which every turn jumps back.
#! function: consume
from itertools import repeat


def consume(kept):
    for _ in map(kept.append, map(bytearray, repeat(1 << 20, 150))):  #! here
        kept[0]
        kept[0]


consume([])
