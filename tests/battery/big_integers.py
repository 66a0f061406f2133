# Integers of a megabyte each.
#! function: powers


def powers(base):
    kept = [None] * 150
    for index in range(150):
        kept[index] = base + index  #! here


powers((1 << (8 << 20)) - 1)
