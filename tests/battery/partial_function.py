# functools.partial has no frame of its own.
#! function: request
#! caller: <module>
from functools import partial

kept = []


def request(size, store):
    for _ in range(150):
        store.append(bytearray(size))  #! here


partial(request, 1 << 20, store=kept)()
