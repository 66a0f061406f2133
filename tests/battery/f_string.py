# A call within an f-string.
#! function: show
#! caller: <module>


def show(kept):
    for _ in range(150):
        f"{kept.append(bytearray(1 << 20))} {len(kept)}"  #! here


show([])
