# A child of multiprocessing, forked.
#! function: work
#! caller: BaseProcess.run
import multiprocessing


def work(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


child = multiprocessing.get_context("fork").Process(target=work, args=([],))
child.start()
child.join()
