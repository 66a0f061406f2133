# A function below map, list and the module.
#! function: parse
#! caller: <module>


def parse(line):
    return bytearray(1 << 20)  #! here


kept = list(map(parse, range(150)))
