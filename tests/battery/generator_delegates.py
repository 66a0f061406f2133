# yield from, three deep.
#! function: Tree.leaves
#! caller: Tree.nodes
#! caller: Tree.__iter__


class Tree:
    def __iter__(self):
        yield from self.nodes()

    def nodes(self):
        yield from self.leaves()

    def leaves(self):
        for _ in range(150):
            yield bytearray(1 << 20)  #! here


kept = [None] * 150
kept[:] = Tree()
