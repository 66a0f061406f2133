# A module that is imported when its name is first used.
#! min: 3.15
#! file: parts/at_import.py
#! function: <module>
#! caller: use
lazy import parts.at_import


def use():
    return parts.at_import.kept


use()
