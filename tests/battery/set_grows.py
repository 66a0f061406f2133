# Sets of numbers.
#! function: distinct


def distinct(seen):
    for start in range(70):
        seen.append(set(range(start, start + 20000)))  #! here


distinct([])
