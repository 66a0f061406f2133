# A cache that is never emptied: the body of a function below lru_cache.
#! function: load
#! caller: <module>
from functools import lru_cache


@lru_cache(maxsize=None)
def load(day):
    return bytearray((1 << 20) + day)  #! here


for day in range(150):
    load(day)
