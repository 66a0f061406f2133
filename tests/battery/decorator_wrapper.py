# The wrapper of a decorator is what keeps everything.
#! function: kept_forever.<locals>.decorate.<locals>.wrapper
#! caller: <module>


def kept_forever(store):
    def decorate(function):
        def wrapper(size):
            store.append(function(size) * size)  #! here

        return wrapper

    return decorate


@kept_forever([])
def piece(size):
    return b"x"


for _ in range(150):
    piece(1 << 20)
