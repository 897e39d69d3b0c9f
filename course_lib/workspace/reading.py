"""What a piece of Python defines and imports, read without running it."""

import ast

from course_lib.lessons.package_text import definitions
from course_lib.parsing import parse

from .borrow import PACKAGE

__all__ = ["definitions", "imported_modules"]


def imported_modules(source: str | bytes) -> set[str]:
    """Every module that `source` may import, anywhere in it, as a dotted name.

    `from a import b` counts as `a` and as `a.b`, because b may be a module. One leading dot
    stands for the learner's package.

    Raises:
        SyntaxError: `source` is not Python.
    """
    modules = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level < 2:
            parts = [PACKAGE] if node.level else []
            base = ".".join(parts + ([node.module] if node.module else []))
            modules |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return modules
