"""What a piece of Python defines and imports, read without running it."""

import ast
from pathlib import Path

from course_lib.lessons.package_text import definitions

from .borrow import PACKAGE

__all__ = ["definition_text", "definitions", "imported_modules"]


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


def definition_text(path: Path, name: str) -> str | None:
    """The text of what gives `name` its meaning in a module; None if nothing does."""
    try:
        text = path.read_text("utf-8")
        line = definitions(text).get(name)
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.parse(text).body:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        if line and first <= line <= node.end_lineno:
            return "\n".join(text.split("\n")[first - 1 : node.end_lineno])
    return None
