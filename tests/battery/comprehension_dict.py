# A dict comprehension.
#! function: table.<locals>.<dictcomp>
#! function 3.12: table


def table(count):
    return {row: bytearray(1 << 20) for row in range(count)}  #! here


table(150)
