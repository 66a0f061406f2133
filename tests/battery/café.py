# A file and a function of Latin-1: one byte a character, and not ASCII.
#! function: Entrée.réserver
#! caller: <module>


class Entrée:
    def réserver(self, déjà):
        for _ in range(150):
            déjà.append(bytearray(1 << 20))  #! here


Entrée().réserver([])
