# python -m: the library's runpy lies below.
#! run: -m run_as_module
#! function: main
#! caller: _run_code


def main(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


if __name__ == "__main__":
    main([])
