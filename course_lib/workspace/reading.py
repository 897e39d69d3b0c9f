"""What a piece of Python defines and imports, read without running it."""

import ast
from collections.abc import Iterator

from .borrow import PACKAGE


def definitions(source: str | bytes) -> dict[str, int]:
    """The names that `source` itself gives a meaning at its top level, in order, with their lines.

    A def, a class or an assignment does; an import does not, for what is imported was written
    elsewhere. Of two definitions of a name the later one counts.

    Raises:
        SyntaxError: `source` is not Python.
    """
    lines = {}
    for node in _top_level(ast.parse(source).body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            lines[node.name] = node.lineno
        elif isinstance(node, ast.Assign):
            targets = {name for target in node.targets for name in _stored(target)}
            lines |= dict.fromkeys(targets, node.lineno)
        elif isinstance(node, ast.AnnAssign) and node.value:
            lines |= dict.fromkeys(_stored(node.target), node.lineno)
    return lines


def imported_modules(source: str | bytes) -> set[str]:
    """Every module that `source` may import, anywhere in it, as a dotted name.

    `from a import b` counts as `a` and as `a.b`, because b may be a module. One leading dot
    stands for the learner's package.

    Raises:
        SyntaxError: `source` is not Python.
    """
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level < 2:
            parts = [PACKAGE] if node.level else []
            base = ".".join(parts + ([node.module] if node.module else []))
            modules |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return modules


def _top_level(statements: list) -> Iterator[ast.AST]:
    """The statements of a module in order, those inside `if`, `try`, `with` and loops too."""
    for node in statements:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for field in ("body", "handlers", "orelse", "finalbody"):
                yield from _top_level(getattr(node, field, []))


def _stored(target: ast.expr) -> set[str]:
    return {
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
