"""How much of a learner's package is theirs, read without running it."""

from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons import exercises
from course_lib.lessons.package_text import borrowed_parts, read_package

from .borrow import PACKAGE
from .importing import module_file
from .reading import definitions


@dataclass(frozen=True)
class Row:
    """One component of the course in one workspace."""

    lesson: str
    component: str
    module: str
    # "yours"; "borrowed"; "broken": its module is not Python, see `status`.
    # Of a check of the whole package: "ready", or "waiting" for parts that are borrowed.
    state: str


def status(workspace: Path) -> list[Row]:
    """Every component of the course in the order of the lessons, and whether it is theirs.

    Theirs is what their module defines at its top level, by a promotion or by hand. A module that
    cannot be read as Python makes all its components "broken". The capstone's checks come last.
    """
    theirs = {}
    rows = []
    for lesson in exercises.lesson_names():
        for exercise in exercises.read_exercises(exercises.read_notebook(lesson)):
            module = exercise.module
            if module not in theirs:
                theirs[module] = _defined(module_file(workspace, module))
            rows.append(Row(lesson, exercise.component, module, _state(theirs[module], exercise)))
        for check in exercises.read_package_checks(exercises.read_notebook(lesson)):
            rows.append(Row(lesson, check.component, "", _readiness(workspace)))
    return rows


def in_words(rows: list[Row]) -> str:
    """How many of the components are theirs, in a sentence."""
    parts = [row for row in rows if row.state not in ("ready", "waiting")]
    n, yours = len(parts), sum(row.state == "yours" for row in parts)
    if yours == n:
        return (
            f"All {n} components are yours. `course export` writes them, and what was given around "
            "them, as a package of its own."
        )
    broken = sorted({f"{row.module}.py" for row in parts if row.state == "broken"})
    borrowed = sum(row.state == "borrowed" for row in parts)
    others = [f"{borrowed} borrowed from ours"] if borrowed else []
    if broken:
        others.append(f"{n - yours - borrowed} unreadable (mend {', '.join(broken)})")
    are = "is" if yours == 1 else "are"
    return f"{yours} of {n} components {are} yours, {' and '.join(others)}."


def _readiness(workspace: Path) -> str:
    return "waiting" if borrowed_parts(read_package(workspace / PACKAGE).modules) else "ready"


def _defined(path: Path) -> set[str] | None:
    try:
        return set(definitions(path.read_bytes()))
    except FileNotFoundError:
        return set()
    except (SyntaxError, ValueError):
        return None


def _state(defined: set[str] | None, exercise) -> str:
    if defined is None:
        return "broken"
    return "yours" if exercise.component in defined else "borrowed"
