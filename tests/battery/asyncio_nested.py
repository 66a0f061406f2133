# Coroutines that await each other.
#! function: Client.read
#! caller: Client.fetch
#! caller: main
import asyncio


class Client:
    async def fetch(self):
        return await self.read([])

    async def read(self, kept):
        for _ in range(150):
            kept.append(bytearray(1 << 20))  #! here


async def main():
    await Client().fetch()


asyncio.run(main())
