# A Chinese file, class and method.
#! function: 缓存.添加
#! caller: 主程序


class 缓存:
    def __init__(self):
        self.内容 = []

    def 添加(self, 大小):
        self.内容.append(bytearray(大小))  #! here


def 主程序():
    表 = 缓存()
    for _ in range(150):
        表.添加(1 << 20)


主程序()
