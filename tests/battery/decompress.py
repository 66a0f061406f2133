# A small archive that is large inside.
#! function: unpack
import zlib


def unpack(packed):
    kept = [None] * 150
    for index in range(150):
        kept[index] = zlib.decompress(packed)  #! here


unpack(zlib.compress(b"x" * (1 << 20)))
