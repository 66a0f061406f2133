# eval of an expression.
#! file: <string>
#! line: 1
#! function: <lambda>
#! caller: main


def main():
    load = eval("lambda kept: kept.append(bytearray(1 << 20))")
    kept = []
    for _ in range(150):
        load(kept)


main()
