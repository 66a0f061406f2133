# Two threads compute while a third allocates: the interpreter switches all the time.
#! function: leak
#! caller: Thread.run
import threading

done = False


def spin():
    number = 0
    while not done:
        number ^= 1


def leak(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


for _ in range(2):
    threading.Thread(target=spin, daemon=True).start()
leaker = threading.Thread(target=leak, args=([],))
leaker.start()
leaker.join()
done = True
