# The last of a thousand functions, each of which has run.
#! function: last


def step{n}(): return {n}  #! times 1000


def last(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


step{n}()  #! times 1000
last([])
