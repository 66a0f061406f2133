# One bytearray that is resized again and again.
#! function: fill


def fill(buffer, piece):
    for _ in range(150):
        buffer += piece  #! here


fill(bytearray(), b"x" * (1 << 20))
