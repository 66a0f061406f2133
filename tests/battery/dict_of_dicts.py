# A dict of dicts.
#! function: load


def load(table):
    for row in range(350):
        table[row] = dict.fromkeys(range(row, row + 8000), row)  #! here


load({})
