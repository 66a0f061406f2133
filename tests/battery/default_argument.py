# A default argument, made where the function is defined.
#! function: define


def define(kept):
    for _ in range(150):
        def handler(buffer=kept.append(bytearray(1 << 20))):  #! here
            return buffer


define([])
