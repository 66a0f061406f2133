# json.dumps with indentation: Python code of the library.
#! function: write_all
#! own-file
import json


def write_all(rows):
    kept = [None] * 150
    for index in range(150):
        kept[index] = json.dumps(rows, indent=1)  #! here


write_all(["x" * 1000] * 1000)
