# __new__ of a metaclass, while classes are made.
#! function: Registry.__new__
#! caller: <module>


class Registry(type):
    kept = []

    def __new__(cls, name, bases, body):
        Registry.kept.append(bytearray(4 << 20))  #! here
        return super().__new__(cls, name, bases, body)


for _ in range(40):
    Registry("Plugin", (), {})
