# A child by os.fork, killed while its parent waits.
#! function: child
#! caller: <module>
import os


def child():
    kept = []
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


pid = os.fork()
if pid == 0:
    child()
    os._exit(0)
os.waitpid(pid, 0)
