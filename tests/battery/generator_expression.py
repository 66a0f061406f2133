# A generator expression, which stays a function.
#! function: collect.<locals>.<genexpr>
#! caller: collect


def collect(count):
    return list(bytearray(1 << 20) for _ in range(count))  #! here


collect(150)
