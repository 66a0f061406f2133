# A lambda at module level, as a key.
#! function: <lambda>
#! caller: <module>
kept = []
key = lambda _: kept.append(bytearray(1 << 20)) or 0  #! here
sorted(range(150), key=key)
