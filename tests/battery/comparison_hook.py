# __lt__ below list.sort.
#! function: Row.__lt__
#! caller: order


class Row:
    kept = []

    def __lt__(self, other):
        self.kept.append(bytearray(1 << 20))  #! here
        return False


def order(rows):
    rows.sort()


order([Row() for _ in range(150)])
