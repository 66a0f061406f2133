# An expression within a template string.
#! min: 3.14
#! function: show


def show(kept):
    for _ in range(150):
        t"{kept.append(bytearray(1 << 20))}"  #! here


show([])
