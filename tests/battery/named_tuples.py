# Instances of a named tuple.
#! function: ticks
#! own-file
from collections import namedtuple

Book = namedtuple("Book", ["level%d" % level for level in range(60)])


def ticks():
    kept = []
    for _ in range(120):
        kept += map(Book._make, [[0.5] * 60] * 2000)  #! here


ticks()
