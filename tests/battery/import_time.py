# A module that allocates while it is imported.
#! file: parts/at_import.py
#! function: <module>
#! caller: start


def start():
    import parts.at_import


start()
