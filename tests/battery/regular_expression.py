# Everything that an expression finds.
#! function: tokens
import re


def tokens(text):
    find = re.compile(r"\w+").findall
    kept = [None] * 60
    for index in range(60):
        kept[index] = find(text)  #! here


tokens("word " * 40000)
