# except*, a handler of one part of a group.
#! min: 3.11
#! function: gather


def gather(kept):
    try:
        raise ExceptionGroup("several", [ValueError(1), KeyError(2)])
    except* ValueError:
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here
    except* KeyError:
        pass


gather([])
