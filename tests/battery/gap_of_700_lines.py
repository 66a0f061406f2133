# Lines that are further apart than one entry of a line table can say.
#! function: far


def far(kept):
    first = len(kept)
    #! times 700
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here
    #! times 300
    return first


far([])
