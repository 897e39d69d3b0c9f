"""Our modules in pieces, as an export hands them out: each statement, and what it is in need of."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from course_lib.lessons.package_text import given_modules
from course_lib.lessons.source import module_source
from course_lib.parsing import parse

from .reading import definitions


@dataclass(frozen=True)
class Piece:
    """A statement of our module, or its imports."""

    names: tuple[str, ...]  # what it defines; none: imports
    text: str
    needs: frozenset[str]  # names that must be there when it is declared

    @property
    def label(self) -> str:
        return ", ".join(self.names) or "imports"


def components_of(module: str) -> list[str]:
    """The components of one of our modules; none of a module of the learner's own."""
    return given_modules()[module]["components"] if module in given_modules() else []


def pieces_of(module: str) -> Iterator[Piece]:
    """Our module, statement by statement with the comments above; neighbouring imports are one."""
    if module not in given_modules():  # the learner's own, such as my_transformer/plots.py
        return
    source = module_source(module)
    lines, stop, imports = source.split("\n"), 0, ""
    for node in parse(source).body:
        text = "\n".join(lines[stop : node.end_lineno])
        stop = node.end_lineno
        if isinstance(node, ast.Expr):  # the docstring
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports += text + "\n"
            continue
        if imports:
            yield Piece((), imports.strip("\n"), frozenset())
            imports = ""
        names = tuple(sorted(definitions(text)))
        yield Piece(names, text.strip("\n"), frozenset(named_when_run(node)))


def named_when_run(node: ast.AST) -> Iterator[str]:
    """The names that must have a meaning when a statement runs: not those in a function's body."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        now = [node.args, *getattr(node, "decorator_list", [])]
        now += [node.returns] if getattr(node, "returns", None) else []
    else:
        now = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
    for part in now:
        yield from named_when_run(part)
