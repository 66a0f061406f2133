# exec of what was compiled under a name of its own.
#! file: <策略 7>
#! line: 5
#! function: <module>
#! caller: run


def run(source):
    exec(compile(source, "<策略 7>", "exec"), {})


run("\n\nkept = []\nfor _ in range(150):\n    kept.append(bytearray(1 << 20))\n")
