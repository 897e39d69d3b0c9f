"""What a text of Python imports, and which of it is not there in class."""

import ast
from functools import cache

from course_lib.parsing import parse

from .exercises import lesson_names, read_exercises, read_notebook
from .package_text import PACKAGE


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


def absent_in_class(source: str, lesson: str) -> str:
    """Why an answer of `lesson` cannot import what it does; empty when it can."""
    absent = _modules_from(lesson)
    for module in sorted(imported_modules(source)):
        package, _, name = module.partition(".")
        if package == "course_lib":
            return (
                f"the cell imports {module}, which is not there in class: take earlier lessons' "
                f"parts from {PACKAGE}, and write this one yourself"
            )
        if package == PACKAGE and name.partition(".")[0] in absent:
            return (
                f"the cell imports {module}, which is not there in class: earlier parts of this "
                "lesson are at hand without an import, later ones are not"
            )
    return ""


@cache
def _modules_from(lesson: str) -> set[str]:
    """The modules that `lesson` and the lessons after it write."""
    names = lesson_names()
    later = names[names.index(lesson) :]
    return {e.module for name in later for e in read_exercises(read_notebook(name))}
