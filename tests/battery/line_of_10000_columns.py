# The end of a very long line: columns that one byte cannot hold.
#! file: <wide>
#! line: 3
#! function: wide
#! caller: <module>
PADDING = "size = 1 << 20; " * 1000
PROGRAM = """\
def wide(kept):
    for _ in range(150):
        %skept.append(bytearray(size))
wide([])
"""
exec(compile(PROGRAM % PADDING, "<wide>", "exec"), {})
