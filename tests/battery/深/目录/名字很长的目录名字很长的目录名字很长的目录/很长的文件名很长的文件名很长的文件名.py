# A long path below Chinese directories.
#! function: main


def main(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


main([])
