# A worker of a thread pool.
#! function: job
#! caller: _worker
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

# All have started before any of them allocates: one that starts touches pages too, and is refused one
# now and then.
started = Barrier(3)
kept = []


def job(size):
    kept.append(bytearray(size))  #! here


with ThreadPoolExecutor(3) as pool:
    list(pool.map(lambda _: started.wait(), range(3)))
    list(pool.map(job, [50 << 20] * 4))
