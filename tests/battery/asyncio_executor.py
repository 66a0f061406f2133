# A thread that the event loop has started.
#! function: blocking
#! caller: _worker
import asyncio


def blocking():
    kept = []
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


async def main():
    await asyncio.get_running_loop().run_in_executor(None, blocking)


asyncio.run(main())
