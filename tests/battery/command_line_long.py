# A program of several lines by -c, with a Chinese name.
#! run: -c
#! file: <string>
#! line: 3
#! function: 加载
def 加载(缓存):
    for _ in range(150):
        缓存.append(bytearray(1 << 20))
加载([])
