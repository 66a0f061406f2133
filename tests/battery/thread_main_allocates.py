# The main thread allocates, others wait.
#! function: main
import threading

never = threading.Event()


def main(kept):
    for _ in range(3):
        threading.Thread(target=never.wait, daemon=True).start()
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


main([])
