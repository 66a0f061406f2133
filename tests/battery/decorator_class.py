# A decorator that is a class: __call__.
#! function: Recorded.__call__
#! caller: <module>


class Recorded:
    def __init__(self, function):
        self.function, self.kept = function, []

    def __call__(self, size):
        self.kept.append(bytearray(self.function(size)))  #! here


@Recorded
def double(size):
    return 2 * size


for _ in range(75):
    double(1 << 20)
