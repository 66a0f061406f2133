# __next__ of a class.
#! function: Reader.__next__
#! caller: <module>


class Reader:
    left = 150

    def __iter__(self):
        return self

    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return bytearray(1 << 20)  #! here


kept = tuple(Reader())
