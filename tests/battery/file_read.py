# Pages that the kernel touches first, within read(2).
#! function: slurp


def slurp(path):
    kept = [None] * 150
    with open(path, "rb", buffering=0) as file:
        for index in range(150):
            kept[index] = file.read(1 << 20)  #! here


slurp("/dev/zero")
