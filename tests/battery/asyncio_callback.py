# A callback of the event loop.
#! function: tick
#! caller: Handle._run
import asyncio

kept = []


def tick(loop, left):
    kept.append(bytearray(1 << 20))  #! here
    if left:
        loop.call_soon(tick, loop, left - 1)
    else:
        loop.stop()


loop = asyncio.new_event_loop()
loop.call_soon(tick, loop, 150)
loop.run_forever()
