# More names and constants than one byte can number: extended arguments everywhere.
#! function: build


def build(kept):
    a{n} = 1{n}  #! times 400
    for _ in range(150):
        kept.append(bytearray(a399 and 1 << 20))  #! here
    return a1


build([])
