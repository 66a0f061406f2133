# Strings of two bytes a character, made by C code.
#! function: 翻译


def 翻译(段落):
    for _ in range(150):
        段落.append("内存" * (1 << 18))  #! here


翻译([])
