# A list comprehension, a function of its own before 3.12.
#! function: rows.<locals>.<listcomp>
#! function 3.12: rows


def rows(count):
    return [bytearray(1 << 20) for _ in range(count)]  #! here


rows(150)
