# run() of a thread's subclass.
#! function: Loader.run
#! caller: Thread._bootstrap_inner
import threading


class Loader(threading.Thread):
    def run(self):
        kept = []
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here


loader = Loader()
loader.start()
loader.join()
