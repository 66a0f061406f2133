# Copies of a list, by slicing.
#! function: copies


def copies(numbers):
    kept = [None] * 150
    for index in range(150):
        kept[index] = numbers[:]  #! here


copies([0] * 131072)
