# Our function below one of the library's, below ours.
#! function: visit
#! caller: start
import ast


class Visitor(ast.NodeVisitor):
    pass


def visit(node, kept=[]):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


def start():
    visitor = Visitor()
    visitor.visit_Name = visit
    visitor.visit(ast.parse("name"))


start()
