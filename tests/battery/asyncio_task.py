# One of several tasks; it awaits between its allocations.
#! function: leak
#! caller: Handle._run
import asyncio


async def idle(never):
    await never.wait()


async def leak(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here
        await asyncio.sleep(0)


async def main():
    never = asyncio.Event()
    idlers = [asyncio.ensure_future(idle(never)) for _ in range(5)]
    await asyncio.ensure_future(leak([]))
    for idler in idlers:
        idler.cancel()


asyncio.run(main())
