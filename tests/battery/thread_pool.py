# A worker of a thread pool.
#! function: job
#! caller: _worker
from concurrent.futures import ThreadPoolExecutor

kept = []


def job(size):
    kept.append(bytearray(size))  #! here


with ThreadPoolExecutor(3) as pool:
    list(pool.map(job, [1 << 20] * 150))
