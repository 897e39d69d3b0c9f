"""What is done in each lesson, and what to do next."""

from dataclasses import dataclass
from pathlib import Path

from course_lib.did_you_mean import did_you_mean
from course_lib.lessons import exercises

from .folder import WorkspaceError
from .status import Row, status


@dataclass(frozen=True)
class Lesson:
    """How far one lesson is, by what stands in the learner's package."""

    name: str
    parts: tuple[Row, ...]
    points: dict[str, float]  # of each part

    @property
    def done(self) -> tuple[Row, ...]:
        return tuple(row for row in self.parts if row.state in ("yours", "ready"))

    @property
    def points_done(self) -> float:
        return sum(self.points[row.component] for row in self.done)

    @property
    def first_open(self) -> Row | None:
        """The first part that is not theirs; None if all are."""
        return next((row for row in self.parts if row not in self.done), None)

    @property
    def words(self) -> str:
        """Its name as one reads it: `02 self attention`."""
        return self.name.replace("_", " ")


def lessons(workspace: Path) -> list[Lesson]:
    """Every lesson, in order."""
    rows: dict[str, list[Row]] = {name: [] for name in exercises.lesson_names()}
    for row in status(workspace):
        rows[row.lesson].append(row)
    return [Lesson(name, tuple(parts), _points(name)) for name, parts in rows.items()]


def next_lesson(found: list[Lesson], after: Lesson | None = None) -> Lesson | None:
    """The first lesson with something left to write; None when the course is done.

    Args:
        after: where to begin looking; those before it come last.
    """
    n = found.index(after) + 1 if after else 0
    return next((lesson for lesson in found[n:] + found[:n] if lesson.first_open), None)


def next_step(found: list[Lesson]) -> str:
    """What to do next, in a line or two, with the command that does it."""
    lesson = next_lesson(found)
    if lesson is None:
        return "Next: the model is yours. Take it with you: course export"
    row = lesson.first_open
    if row.state in ("broken", "missing"):
        return f"Next: {row.component} cannot be found in my_transformer/{row.module}.py: mend it"
    if row.state == "waiting":
        return f"Next: the whole model, in {lesson.name}.ipynb: course lab"
    return f"Next: {row.component}, in {lesson.name}.ipynb: course lab"


def lesson_called(asked: str) -> str:
    """The lesson of this name or number: `3`, `03` and `03_causal_masking` are one.

    Raises:
        WorkspaceError: there is none.
    """
    names = exercises.lesson_names()
    number = asked.zfill(2) if asked.isdigit() else None
    matching = [name for name in names if asked == name or name.split("_")[0] == number]
    if not matching:
        raise WorkspaceError(f"no lesson is called {asked!r}. {did_you_mean(asked, names)}")
    return matching[0]


def _points(lesson: str) -> dict[str, float]:
    notebook = exercises.read_notebook(lesson)
    both = [*exercises.read_exercises(notebook), *exercises.read_package_checks(notebook)]
    return {one.component: one.points for one in both}
