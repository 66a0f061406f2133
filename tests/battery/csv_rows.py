# Rows of a csv file.
#! function: read
import csv


def read(lines):
    kept = [None] * 80
    for index in range(80):
        kept[index] = list(csv.reader(lines))  #! here


read(["2026-01-02,open,high,low,close"] * 5000)
