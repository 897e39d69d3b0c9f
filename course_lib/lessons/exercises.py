"""The built exercises, as the workspace and the grader read them: plain JSON, no Jupyter needed."""

import json
from dataclasses import dataclass
from pathlib import Path

from course_lib.did_you_mean import did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Exercise:
    """One component to write, as a lesson's notebook gives it."""

    lesson: str
    component: str
    module: str
    setup: tuple[str, ...]  # sources of the locked cells it may rely on
    stub: str
    sentence: str
    hints: tuple[str, ...]
    points: float
    minutes: int
    difficulty: int
    importance: int


@dataclass(frozen=True)
class PackageCheck:
    """One check of the learner's whole package, which is handed in beside the notebook."""

    lesson: str
    component: str
    points: float


class UnknownExercise(LookupError):
    """No lesson asks for a component of this name; the text suggests the nearest."""


def exercises_folder() -> Path:
    """Where the built exercises are: in the checkout, or inside an installed package."""
    inside = PACKAGE / "_exercises"
    return inside if inside.is_dir() else PACKAGE.parent / "exercises"


def lesson_names() -> list[str]:
    """The lessons that have a notebook, in order."""
    return sorted(path.parent.name for path in exercises_folder().glob("*/*.ipynb"))


def notebook_path(lesson: str) -> Path:
    """The pristine notebook of a lesson."""
    return exercises_folder() / lesson / f"{lesson}.ipynb"


def read_notebook(lesson: str) -> dict:
    """The pristine notebook of a lesson, as a tree of dicts and lists."""
    return json.loads(notebook_path(lesson).read_text(encoding="utf-8"))


def read_exercises(notebook: dict) -> list[Exercise]:
    """The exercises of a released notebook, in order."""
    lesson = notebook["metadata"]["course"]["lesson"]
    setup, exercises, points = [], [], {}
    for cell in notebook["cells"]:
        course = cell["metadata"].get("course", {})
        if course.get("role") == "check":
            points[course["component"]] = _points(cell)
    for cell in notebook["cells"]:
        course = cell["metadata"].get("course", {})
        source = "".join(cell["source"])
        if course.get("role") == "setup":
            setup.append(source)
        elif course.get("role") == "answer":
            exercises.append(
                Exercise(
                    lesson=lesson,
                    component=course["component"],
                    module=course["module"],
                    setup=tuple(setup),
                    stub=source,
                    sentence=course["sentence"],
                    hints=tuple(course["hints"]),
                    points=points[course["component"]],
                    minutes=course["minutes"],
                    difficulty=course["difficulty"],
                    importance=course["importance"],
                )
            )
    return exercises


def read_package_checks(notebook: dict) -> list[PackageCheck]:
    """The checks of a released notebook that are about the whole package, in order."""
    lesson = notebook["metadata"]["course"]["lesson"]
    return [
        PackageCheck(lesson, cell["metadata"]["course"]["component"], _points(cell))
        for cell in notebook["cells"]
        if cell["metadata"].get("course", {}).get("role") == "check"
        and cell["metadata"]["course"].get("of") == "package"
    ]


def _points(cell: dict) -> float:
    return cell["metadata"]["nbgrader"]["points"]


def find_exercise(component: str) -> Exercise | None:
    """The exercise that asks for `component`, in whichever lesson it stands."""
    for lesson in lesson_names():
        for exercise in read_exercises(read_notebook(lesson)):
            if exercise.component == component:
                return exercise
    return None


def require_exercise(component: str) -> Exercise:
    """The exercise that asks for `component`.

    Raises:
        UnknownExercise: no lesson does.
    """
    every = [e for lesson in lesson_names() for e in read_exercises(read_notebook(lesson))]
    found = {exercise.component: exercise for exercise in every}
    if component in found:
        return found[component]
    raise UnknownExercise(f"no component is called {component!r}. {did_you_mean(component, found)}")
