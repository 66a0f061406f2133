# A program in one line, by -c.
#! run: -c
#! file: <string>
#! line: 1
#! function: <module>
kept = [None] * 150; kept[:] = map(bytearray, [1 << 20] * 150)
