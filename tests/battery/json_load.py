# json.load of a file.
#! function: read_all
#! own-file
import io
import json


def read_all(text):
    kept = [None] * 100
    for index in range(100):
        kept[index] = json.load(io.StringIO(text))  #! here


read_all(json.dumps([{"time": number, "price": str(number)} for number in range(4000)]))
