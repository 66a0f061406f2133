# __del__, called wherever the last reference goes.
#! function: Handle.__del__
#! caller: <module>


class Handle:
    kept = []

    def __del__(self):
        self.kept.append(bytearray(1 << 20))  #! here


for _ in range(150):
    Handle()
