# exec of a string: no file at all.
#! file: <string>
#! line: 4
#! function: grow
#! caller: <module>
PROGRAM = """\
kept = []
def grow():
    for _ in range(150):
        kept.append(bytearray(1 << 20))
grow()
"""
exec(PROGRAM)
