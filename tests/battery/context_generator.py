# The body of a with statement below contextlib's generator.
#! function: work
import contextlib


@contextlib.contextmanager
def lease():
    yield []


def work():
    with lease() as kept:
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here


work()
