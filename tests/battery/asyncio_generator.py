# An asynchronous generator.
#! function: pages
#! caller: main
import asyncio


async def pages():
    for _ in range(150):
        yield bytearray(1 << 20)  #! here


async def main():
    kept = [None] * 150
    index = 0
    async for page in pages():
        kept[index] = page
        index += 1


asyncio.run(main())
