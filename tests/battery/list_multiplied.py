# A list that is moved as it grows.
#! function: grow


def grow(kept):
    for _ in range(150):
        kept += [None] * 131072  #! here


grow([])
