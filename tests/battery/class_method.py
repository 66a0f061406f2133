# A class method, called on a subclass.
#! function: Base.build
#! caller: <module>


class Base:
    kept = []

    @classmethod
    def build(cls, count):
        for _ in range(count):
            cls.kept.append(bytearray(1 << 20))  #! here


class Derived(Base):
    pass


Derived.build(150)
