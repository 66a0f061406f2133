# __get__ of a descriptor.
#! function: Column.__get__
#! caller: <module>


class Column:
    kept = []

    def __get__(self, owner, kind):
        self.kept.append(bytearray(1 << 20))  #! here
        return self


class Table:
    price = Column()


table = Table()
for _ in range(150):
    table.price
