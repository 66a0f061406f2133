# A generator that is read by C code.
#! function: pages
#! caller: <module>


def pages():
    for _ in range(150):
        yield bytearray(1 << 20)  #! here


kept = list(pages())
