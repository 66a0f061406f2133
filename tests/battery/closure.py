# A function in a function in a method.
#! function: Bot.start.<locals>.on_tick.<locals>.store
#! caller: Bot.start.<locals>.on_tick


class Bot:
    def start(self):
        ticks = []

        def on_tick():
            def store(size):
                ticks.append(bytearray(size))  #! here

            for _ in range(150):
                store(1 << 20)

        return on_tick


Bot().start()()
