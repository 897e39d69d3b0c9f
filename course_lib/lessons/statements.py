"""The statements of a cell: for each its text, what it gives a meaning, and what it needs.

Python's own symbol tables say which names are global. What a function's body needs it needs later,
when it is called; everything else is needed now.
"""

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

from course_lib.parsing import parse

from .package_text import definitions

_COMPREHENSIONS = ("genexpr", "listcomp", "setcomp", "dictcomp")
_MAY_NOT_RUN = (ast.If, ast.For, ast.While, ast.Try)


@dataclass(frozen=True)
class Statement:
    """One statement at the top of a cell, with the comments above it."""

    text: str
    defines: frozenset[str]  # by a def, a class or an assignment
    binds: frozenset[str]  # and by an import
    values: frozenset[str]  # by an assignment alone
    now: frozenset[str]  # global names that must be there when it runs
    later: frozenset[str]  # those that its functions look up when they are called
    sets: frozenset[str]  # names whose attributes or items it sets
    calls: frozenset[str]  # names of which it calls a method, for what that does
    is_sure: bool  # what it binds is bound for certain
    is_future: bool  # `from __future__ import …`
    is_star: bool  # `from … import *`


def statements_of(python: str) -> list[Statement]:
    """The statements of a cell; two that share a line are one.

    Raises:
        SyntaxError: a statement is no Python by itself.
    """
    lines = python.split("\n")
    found, start = [], 0
    groups = list(_groups(parse(python).body))
    for number, nodes in enumerate(groups):
        stop = len(lines) if number + 1 == len(groups) else nodes[-1].end_lineno
        found.append(_statement("\n".join(lines[start:stop]), nodes))
        start = stop
    return found


def _groups(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Neighbouring statements that share a line, together."""
    group = []
    for node in body:
        if group and node.lineno > group[-1].end_lineno:
            yield group
            group = []
        group.append(node)
    if group:
        yield group


def _statement(text: str, nodes: list[ast.stmt]) -> Statement:
    table = symtable.symtable(text, "<cell>", "exec")
    here = table.get_symbols()
    now, later = _needs(table)
    inner = [node for top in nodes for node in _outside_functions(top)]
    now |= {n.target.id for n in inner if isinstance(n, ast.AugAssign) and _is_name(n.target)}
    imports = [node for node in inner if isinstance(node, ast.ImportFrom)]
    places = [n for n in inner if isinstance(n, (ast.Attribute, ast.Subscript))]
    calls = [node.value.func for node in inner if _is_method_call(node)]
    return Statement(
        text=text,
        defines=frozenset(definitions(text)),
        binds=frozenset(s.get_name() for s in here if s.is_assigned() or s.is_imported()),
        values=frozenset(s.get_name() for s in here if _is_value(s)),
        now=frozenset(now),
        later=frozenset(later),
        sets=frozenset(_root(n) for n in places if isinstance(n.ctx, (ast.Store, ast.Del))),
        calls=frozenset(map(_root, calls)),
        is_sure=not isinstance(nodes[-1], _MAY_NOT_RUN),
        is_future=any(node.module == "__future__" for node in imports),
        is_star=any(alias.name == "*" for node in imports for alias in node.names),
    )


def _needs(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The global names that are looked up now, and later."""
    now = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    later: set[str] = set()
    left = [(child, False) for child in table.get_children()]
    while left:
        inside, is_later = left.pop()
        if inside.get_type() == "function" and inside.get_name() not in _COMPREHENSIONS:
            is_later = True
        looked_up = {s.get_name() for s in inside.get_symbols() if s.is_global()}
        (later if is_later else now).update(looked_up)
        left += [(child, is_later) for child in inside.get_children()]
    return now, later


def _outside_functions(top: ast.AST) -> Iterator[ast.AST]:
    left = [top]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            left += ast.iter_child_nodes(node)


def _is_value(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() and not (symbol.is_namespace() or symbol.is_imported())


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name)


def _is_method_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
    )


def _root(node: ast.AST) -> str:
    """The name that a place such as `table[0].x` begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
