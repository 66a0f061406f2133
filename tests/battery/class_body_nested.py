# The body of a class in a function, within another class.
#! function: build.<locals>.Outer.Inner
#! caller: build.<locals>.Outer
#! caller: build


def build():
    class Outer:
        class Inner:
            pages = []
            for _ in range(150):
                pages.append(bytearray(1 << 20))  #! here

    return Outer


build()
