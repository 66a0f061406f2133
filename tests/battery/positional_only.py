# Arguments that have no names outside.
#! min: 3.8
#! function: store


def store(size, /, *, kept):
    for _ in range(150):
        kept.append(bytearray(size))  #! here


store(1 << 20, kept=[])
