# Every level of a recursion allocates.
#! function: walk
#! caller: walk
#! deep


def walk(depth):
    here = bytearray(1 << 20)  #! here
    return len(here) if depth == 0 else walk(depth - 1)


walk(150)
