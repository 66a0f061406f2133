# A dict that collects.
#! function: Index.add


class Index:
    def __init__(self):
        self.rows = {}

    def add(self, key):
        self.rows.setdefault(key, []).extend([key] * 131072)  #! here


index = Index()
for key in range(150):
    index.add(key)
