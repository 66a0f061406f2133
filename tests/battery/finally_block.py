# A finally block, which is compiled twice.
#! function: close


def close(kept):
    try:
        raise KeyError("x")
    except KeyError:
        pass
    finally:
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here


close([])
