# An assignment within a condition.
#! min: 3.8
#! function: poll


def poll(kept):
    while len(page := bytearray(1 << 20)) and len(kept) < 150:  #! here
        kept.append(page)


poll([])
