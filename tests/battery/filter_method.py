# A bound method below filter.
#! function: Rule.holds
#! caller: apply


class Rule:
    def __init__(self):
        self.seen = []

    def holds(self, number):
        self.seen.append(bytearray(1 << 20))  #! here
        return True


def apply(rule):
    return list(filter(rule.holds, range(150)))


apply(Rule())
