# Recursion, 500 deep.
#! function: descend
#! caller: descend
#! deep


def descend(depth, kept):
    if depth:
        return descend(depth - 1, kept)
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


descend(500, [])
