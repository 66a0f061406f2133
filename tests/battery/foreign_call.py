# memset in a C library, by ctypes: our line is the call.
#! function: clear
#! needs: ctypes
import ctypes

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p


def clear(area, size):
    for start in range(0, size, 1 << 20):
        library.memset(ctypes.c_void_p(area + start), 1, ctypes.c_size_t(1 << 20))  #! here


clear(library.malloc(ctypes.c_size_t(150 << 20)), 150 << 20)
