# A list of small objects, extended by C code.
#! function: grow


def grow(kept):
    for start in range(0, 2600000, 40000):
        kept.extend(map(str, range(start, start + 40000)))  #! here


grow([])
