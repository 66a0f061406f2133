# A file name of four bytes a character.
#! function: main


def main(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


main([])
