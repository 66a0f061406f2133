# The handler of an exception that a callee raised.
#! function: retry


def fail():
    raise ValueError("no")


def retry(kept):
    for _ in range(150):
        try:
            fail()
        except ValueError:
            kept.append(bytearray(1 << 20))  #! here


retry([])
