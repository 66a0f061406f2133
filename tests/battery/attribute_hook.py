# __getattr__ that remembers.
#! function: Lazy.__getattr__
#! caller: <module>


class Lazy:
    kept = []

    def __getattr__(self, name):
        self.kept.append(bytearray(1 << 20))  #! here
        return None


lazy = Lazy()
for _ in range(150):
    lazy.missing
