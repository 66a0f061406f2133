# One string that is appended to.
#! function: write


def write(piece):
    text = ""
    for _ in range(150):
        text += piece  #! here
    return text


write("x" * (1 << 20))
