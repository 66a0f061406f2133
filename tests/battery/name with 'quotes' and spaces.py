# A file name that a shell would have to quote.
#! function: main


def main(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


main([])
