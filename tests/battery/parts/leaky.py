class Cache:
    def __init__(self):
        self.values = {}

    def put(self, key, size):
        self.values[key] = bytearray(size)  #! here
