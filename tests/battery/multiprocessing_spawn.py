# A child of multiprocessing, an interpreter of its own.
#! function: work
#! caller: BaseProcess.run
import multiprocessing
import os


def work():
    kept = []
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    context.set_executable(os.environ["BATTERY_PYTHON"])
    child = context.Process(target=work)
    child.start()
    child.join()
