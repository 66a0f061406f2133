# copy.deepcopy: the pages are touched in the library, our line is what called it.
#! function: snapshots
#! own-file
import copy


def snapshots(table):
    kept = [None] * 150
    for index in range(150):
        kept[index] = copy.deepcopy(table)  #! here


snapshots([{"page": bytearray(1 << 16), "number": number} for number in range(16)])
