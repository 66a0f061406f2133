# A function of another module, in a package.
#! file: parts/leaky.py
#! function: Cache.put
#! caller: <module>
from parts.leaky import Cache

cache = Cache()
for key in range(150):
    cache.put(key, 1 << 20)
