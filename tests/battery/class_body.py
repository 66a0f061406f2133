# The body of a class.
#! function: Settings


class Settings:
    pages = []
    for _ in range(150):
        pages.append(bytearray(1 << 20))  #! here
