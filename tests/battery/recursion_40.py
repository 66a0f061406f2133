# Recursion of two functions, 40 deep, all of it shown.
#! function: odd
#! caller: even
#! caller: <module>


def even(depth, kept):
    odd(depth - 1, kept)


def odd(depth, kept):
    if depth > 1:
        return even(depth - 1, kept)
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


even(40, [])
