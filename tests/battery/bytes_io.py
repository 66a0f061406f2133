# A file in memory.
#! function: spool
import io


def spool(piece):
    file = io.BytesIO()
    for _ in range(150):
        file.write(piece)  #! here


spool(b"x" * (1 << 20))
