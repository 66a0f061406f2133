# Small strings without number, by C code.
#! function: words


def words(text):
    kept = [None] * 60
    for index in range(60):
        kept[index] = text.split(" ")  #! here


words("word " * 40000)
