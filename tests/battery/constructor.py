# __init__ of a base class, by way of super().
#! function: Base.__init__
#! caller: Derived.__init__


class Base:
    def __init__(self):
        self.rows = bytearray(1 << 20)  #! here


class Derived(Base):
    def __init__(self):
        super().__init__()


kept = [None] * 150
for index in range(150):
    kept[index] = Derived()
