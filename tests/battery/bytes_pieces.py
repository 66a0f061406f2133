# Bytes at module level.
#! function: <module>
kept = []
for _ in range(150):
    kept.append(b"x" * (1 << 20))  #! here
