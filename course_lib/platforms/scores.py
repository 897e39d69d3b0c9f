"""The points of a class, from the one table that says them: what `course grade` wrote."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..grading.records import read_grades
from . import PlatformError

TABLE = "grades_long.csv"


@dataclass(frozen=True)
class Score:
    """What somebody has in a lesson: all of its rows together, penalties too."""

    points: float
    most: float


def read_rows(grades: Path) -> list[dict]:
    """The rows of the table that a grading run left in a folder.

    Raises:
        PlatformError: there is none, or it cannot be read.
    """
    path = grades / TABLE
    try:
        rows = read_grades(path)
    except FileNotFoundError:
        raise PlatformError(
            f"--grades must be a folder that course grade wrote, got {grades} without {TABLE}"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise PlatformError(f"{path} cannot be read ({error}): run course grade again") from None
    if not rows:
        raise PlatformError(f"{path} must hold grades, got no row")
    return rows


def scores_of(rows: list[dict]) -> dict[str, dict[str, Score]]:
    """For each student the score in each lesson that has been graded."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        sums.setdefault((row["student"], row["lesson"]), [0.0, 0.0])
        sums[row["student"], row["lesson"]][0] += row["points"]
        sums[row["student"], row["lesson"]][1] += row["max_points"]
    found: dict[str, dict[str, Score]] = {}
    for (student, lesson), (points, most) in sums.items():
        found.setdefault(student, {})[lesson] = Score(points, most)
    return found


def lesson_to_hand_back(scores: Mapping[str, Mapping[str, Score]], asked: str | None) -> str:
    """The lesson that is meant: the one asked for, or the only one there is.

    Raises:
        PlatformError: there are several, or that one has no grades.
    """
    lessons = sorted({lesson for theirs in scores.values() for lesson in theirs})
    if asked is None and len(lessons) == 1:
        return lessons[0]
    if asked not in lessons:
        raise PlatformError(
            f"--lesson must be one that has grades, got {asked}: there are {', '.join(lessons)}"
        )
    return asked


def written(number: float) -> str:
    """A number as a cell holds it: `7.5`, and no more digits than count."""
    return f"{round(number, 4):.10g}"
