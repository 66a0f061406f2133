# A list that grows.
#! function: grow
#! caller: <module>


def grow(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


grow([])
