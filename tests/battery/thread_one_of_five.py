# Four threads wait, one allocates, the main thread waits for it.
#! function: leak
#! caller: Thread.run
import threading

never = threading.Event()


def wait():
    never.wait()


def leak(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


for _ in range(4):
    threading.Thread(target=wait, daemon=True).start()
leaker = threading.Thread(target=leak, args=([],))
leaker.start()
leaker.join()
