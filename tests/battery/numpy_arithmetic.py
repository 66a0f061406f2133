# A sum of two arrays: memory that numpy's C code touches.
#! function: add
#! needs: numpy
#! limit: 120
import numpy


def add(series):
    kept = [None] * 170
    for index in range(170):
        kept[index] = series + 1.0  #! here


add(numpy.zeros(1 << 17))
