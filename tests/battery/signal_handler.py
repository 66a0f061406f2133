# A signal handler, between two lines of the main program.
#! function: on_signal
#! caller: main
import os
import signal

kept = []


def on_signal(number, frame):
    kept.append(bytearray(1 << 20))  #! here


def main():
    signal.signal(signal.SIGUSR1, on_signal)
    for _ in range(150):
        os.kill(os.getpid(), signal.SIGUSR1)


main()
