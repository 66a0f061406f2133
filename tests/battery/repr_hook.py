# __repr__ below an f-string.
#! function: Frame.__repr__
#! caller: show


class Frame:
    kept = []

    def __repr__(self):
        self.kept.append(bytearray(1 << 20))  #! here
        return ""


def show(frame):
    for _ in range(150):
        f"{frame!r}"


show(Frame())
