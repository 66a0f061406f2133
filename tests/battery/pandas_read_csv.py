# pandas.read_csv.
#! function: load
#! own-file
#! needs: pandas
#! limit: 160
import io

import pandas


def load(text):
    kept = [None] * 110
    for index in range(110):
        kept[index] = pandas.read_csv(io.StringIO(text))  #! here


load("a,b,c,d\n" + "1.5,2.5,3.5,4.5\n" * 40000)
