# A worker of a thread pool.
#! function: job
#! caller: _worker
from concurrent.futures import ThreadPoolExecutor

kept = []


def job(size):
    kept.append(bytearray(size))  #! here


with ThreadPoolExecutor(3) as pool:
    # Large ones: a worker that waits touches pages too, and must not be the one that is refused.
    list(pool.map(job, [50 << 20] * 4))
