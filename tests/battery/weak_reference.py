# The callback of a weak reference.
#! function: forget
#! caller: main
import weakref

kept = []


class Value:
    pass


def forget(_):
    kept.append(bytearray(1 << 20))  #! here


def main():
    for _ in range(150):
        value = Value()
        reference = weakref.ref(value, forget)
        del value


main()
