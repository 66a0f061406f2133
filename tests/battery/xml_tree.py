# Elements of an XML file, in a method that is static.
#! function: Feed.parse
#! own-file
from xml.etree import ElementTree


class Feed:
    @staticmethod
    def parse(text):
        kept = [None] * 150
        for index in range(150):
            kept[index] = ElementTree.fromstring(text)  #! here


Feed.parse("<all>" + ("<price>" + "1" * 10000 + "</price>") * 100 + "</all>")
