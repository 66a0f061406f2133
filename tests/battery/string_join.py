# Strings that are joined.
#! function: render


def render(cells):
    pages = [None] * 150
    for index in range(150):
        pages[index] = ",".join(cells)  #! here


render(["0123456789"] * 100000)
