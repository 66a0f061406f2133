# A generic function, whose parameters are a scope of their own.
#! min: 3.12
#! function: Box.put
#! caller: <module>


class Box[T]:
    def put[U](self, value: U, kept: list[T]) -> U:
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here
        return value


Box().put(1, [])
