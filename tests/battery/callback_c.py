# A callback that C code calls through ctypes.
#! function: compare
#! caller: <module>
#! needs: ctypes
import ctypes

kept = []


def compare(_, __):
    kept.append(bytearray(1 << 20))  #! here
    return 0


kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
numbers = (ctypes.c_int * 56)()
ctypes.CDLL(None).qsort(numbers, ctypes.c_size_t(56), ctypes.c_size_t(4), kind(compare))
