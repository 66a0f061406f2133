# An array of doubles.
#! function: series
from array import array


def series(kept):
    for _ in range(150):
        kept.append(array("d", [1.5]) * 131072)  #! here


series([])
