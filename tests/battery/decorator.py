# A function below a decorator's wrapper.
#! function: load
#! caller: logged.<locals>.wrapper
import functools


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@logged
def load(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


load([])
