# -*- coding: latin-1 -*-
# A source that declares its encoding; this comment is no UTF-8 to Python: é.
#! function: main


def main(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


main([])
