# Sorted copies.
#! function: ranking


def ranking(rows):
    kept = [None] * 150
    for index in range(150):
        kept[index] = sorted(rows, reverse=True)  #! here


ranking(list(range(131072)))
