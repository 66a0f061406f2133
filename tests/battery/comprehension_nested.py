# Comprehensions within each other, at module level.
#! function: <listcomp>.<listcomp>
#! function 3.12: <module>
kept = [[bytearray(1 << 20) for _ in range(10)] for _ in range(15)]  #! here
