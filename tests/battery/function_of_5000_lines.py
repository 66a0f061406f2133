# A function of five thousand lines, and the line is its last but one.
#! function: generated


def generated(kept, value):
    value = value ^ 1  #! times 4990
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here
    return value


generated([], 0)
