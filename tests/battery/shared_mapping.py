# Memory that is mapped shared, as Python's mmap does.
#! function: fill
import mmap


def fill(area, piece):
    for _ in range(150):
        area.write(piece)  #! here


fill(mmap.mmap(-1, 160 << 20), b"x" * (1 << 20))
