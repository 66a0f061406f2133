# Arrays of numpy.
#! function: fill
#! own-file
#! needs: numpy
#! limit: 120
import numpy


def fill(kept):
    for _ in range(170):
        kept.append(numpy.ones(1 << 17))  #! here


fill([])
