# A generator that is sent to.
#! function: sink
#! caller: feed


def sink(kept):
    while True:
        size = yield
        kept.append(bytearray(size))  #! here


def feed(target):
    next(target)
    for _ in range(150):
        target.send(1 << 20)


feed(sink([]))
