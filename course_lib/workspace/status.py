"""How much of a learner's package is theirs, read without running it."""

import ast
from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons import exercises
from course_lib.lessons.package_text import borrowed_parts, read_package
from course_lib.parsing import parse

from .borrow import PACKAGE
from .importing import module_file
from .reading import definitions


@dataclass(frozen=True)
class Row:
    """One component of the course in one workspace."""

    lesson: str
    component: str
    module: str
    # "yours"; "borrowed"; "missing": its module, emptied perhaps, neither has it nor borrows;
    # "broken": its module is not Python, see `status`.
    # Of a check of the whole package: "ready", or "waiting" for parts that are borrowed.
    state: str


def status(workspace: Path) -> list[Row]:
    """Every component of the course in the order of the lessons, and whether it is theirs.

    Theirs is what their module defines at its top level, by a promotion or by hand. A module that
    cannot be read as Python makes all its components "broken". The capstone's checks come last.
    """
    modules: dict[str, _Module | None] = {}
    rows = []
    for lesson in exercises.lesson_names():
        for exercise in exercises.read_exercises(exercises.read_notebook(lesson)):
            module = exercise.module
            if module not in modules:
                modules[module] = _read(module_file(workspace, module))
            rows.append(Row(lesson, exercise.component, module, _state(modules[module], exercise)))
        for check in exercises.read_package_checks(exercises.read_notebook(lesson)):
            rows.append(Row(lesson, check.component, "", _readiness(workspace)))
    return rows


# What is said of components in each state but "yours".
_OTHERS = {
    "borrowed": "borrowed from ours",
    "missing": "missing (write or borrow them in {files})",
    "broken": "unreadable (mend {files})",
}


def in_words(rows: list[Row]) -> str:
    """How many of the components are theirs, in a sentence."""
    parts = [row for row in rows if row.state not in ("ready", "waiting")]
    n, yours = len(parts), sum(row.state == "yours" for row in parts)
    if yours == n:
        return (
            f"All {n} components are yours. `course export` writes them, and what was given around "
            "them, as a package of its own."
        )
    others = []
    for state, words in _OTHERS.items():
        modules = [f"{row.module}.py" for row in parts if row.state == state]
        if modules:
            files = ", ".join(sorted(set(modules)))
            others.append(f"{len(modules)} {words.format(files=files)}")
    are = "is" if yours == 1 else "are"
    *most, last = others
    rest = f"{', '.join(most)} and {last}" if most else last
    return f"{yours} of {n} components {are} yours, {rest}."


def _readiness(workspace: Path) -> str:
    return "waiting" if borrowed_parts(read_package(workspace / PACKAGE).modules) else "ready"


@dataclass(frozen=True)
class _Module:
    """What a learner's module says that it has."""

    defined: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset("*")  # "*": all that there is, as by borrowing


def _read(path: Path) -> _Module | None:
    """A module as its text has it; None if it cannot be read. One that is not there is borrowed."""
    if not path.is_file():
        return _Module()
    try:
        content = path.read_bytes()
        return _Module(frozenset(definitions(content)), frozenset(_imported(parse(content))))
    except (OSError, SyntaxError, ValueError):
        return None


def _imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and ast.unparse(node) == "borrow(__name__)":
            names.add("*")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _state(module: _Module | None, exercise) -> str:
    if module is None:
        return "broken"
    if exercise.component in module.defined:
        return "yours"
    return "borrowed" if {"*", exercise.component} & module.imported else "missing"
