"""How much of a learner's package is theirs, read without running it."""

from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons import exercises

from .package import module_file
from .reading import definitions


@dataclass(frozen=True)
class Row:
    """One component of the course in one workspace."""

    lesson: str
    component: str
    module: str
    state: str  # "yours"; "borrowed"; "broken": its module is not Python, see `status`


def status(workspace: Path) -> list[Row]:
    """Every component of the course in the order of the lessons, and whether it is theirs.

    Theirs is what their module defines at its top level, by a promotion or by hand. A module that
    cannot be read as Python makes all its components "broken".
    """
    theirs = {}
    rows = []
    for lesson in exercises.lesson_names():
        for exercise in exercises.read_exercises(exercises.read_notebook(lesson)):
            module = exercise.module
            if module not in theirs:
                theirs[module] = _defined(module_file(workspace, module))
            rows.append(Row(lesson, exercise.component, module, _state(theirs[module], exercise)))
    return rows


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
