# Names of four bytes a character.
#! function: 𠀀𠀁.𠮷野家
#! caller: 𠜎


class 𠀀𠀁:
    def 𠮷野家(self, kept):
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here


def 𠜎():
    𠀀𠀁().𠮷野家([])


𠜎()
