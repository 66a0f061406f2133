# __enter__ of a context manager.
#! function: Lease.__enter__
#! caller: <module>


class Lease:
    kept = []

    def __enter__(self):
        self.kept.append(bytearray(1 << 20))  #! here

    def __exit__(self, *_):
        pass


lease = Lease()
for _ in range(150):
    with lease:
        pass
