# A Counter counts in C.
#! function: count
#! own-file
from collections import Counter


def count(words):
    kept = [None] * 130
    for index in range(130):
        kept[index] = Counter(words)  #! here


count([str(number) for number in range(40000)])
