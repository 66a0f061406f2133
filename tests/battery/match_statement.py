# A case of a match statement.
#! min: 3.10
#! function: handle


def handle(message, kept):
    match message:
        case {"kind": "trade"}:
            return
        case {"kind": "book", "depth": depth}:
            for _ in range(depth):
                kept.append(bytearray(1 << 20))  #! here


handle({"kind": "book", "depth": 150}, [])
