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


def absent_in_class(source: str, lesson: str, component: str) -> str:
    """Why an answer to `component` of `lesson` cannot import what it does; empty when it can."""
    absent = _modules_from(lesson, component)
    for module in sorted(imported_modules(source)):
        package, _, name = module.partition(".")
        if package == "course_lib":
            return (
                f"the cell imports {module}, which is not there in class: take earlier lessons' "
                f"parts from {PACKAGE}, and write this one yourself"
            )
        if package == PACKAGE and name.partition(".")[0] in absent:
            return (
                f"the cell imports {module}, which is not there in class: earlier parts of the "
                "same module are at hand without an import, later ones are not"
            )
    return ""


@cache
def _modules_from(lesson: str, component: str) -> set[str]:
    """The modules of what is written from `component` on, in `lesson` and in those after it."""
    names = lesson_names()
    here = read_exercises(read_notebook(lesson))
    own = next((n for n, exercise in enumerate(here) if exercise.component == component), 0)
    later = names[names.index(lesson) + 1 :]
    after = [e for name in later for e in read_exercises(read_notebook(name))]
    return {e.module for e in [*here[own:], *after]}
