# csv.DictReader: an iterator of the library, in Python.
#! function: read
#! own-file
import csv


def read(lines):
    kept = [None] * 250
    for index in range(250):
        kept[index] = list(csv.DictReader(lines))  #! here


read(["time,open,close"] + [",".join(["1.2345" * 17] * 3)] * 700)
