# A queue that nobody reads.
#! function: produce
from collections import deque


def produce(queue, item):
    for _ in range(150):
        queue.append(bytearray(item))  #! here


produce(deque(), b"x" * (1 << 20))
