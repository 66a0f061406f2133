# A lambda that C code calls.
#! function: total.<locals>.<lambda>
#! caller: total
from functools import reduce


def total(pieces):
    return reduce(lambda sum, piece: sum + [bytearray(piece)], pieces, [])  #! here


total([1 << 20] * 150)
