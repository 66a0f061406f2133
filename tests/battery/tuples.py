# Tuples from an iterator.
#! function: freeze


def freeze(numbers):
    kept = [None] * 150
    for index in range(150):
        kept[index] = tuple(iter(numbers))  #! here


freeze([0] * 131072)
