"""When a lesson is due, and what being late costs: `course.toml`, beside `releases/`.

    [late]
    percent_a_day = 10      # of the score, for each day that has begun
    at_most = 50            # percent
    grace_minutes = 15

    [02_self_attention]
    due = 2026-03-02T23:59:00+01:00
    extensions = { ada = 3 }        # days
    excused = ["ben"]

Dates and extensions go into nbgrader's gradebook (`late`), and the penalty is computed by its step,
which asks `ByDeadlines`. So a change of the file counts with the next run, and nothing is judged
again for it.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Unicode
from traitlets.config import Config

from ..did_you_mean import did_you_mean
from ..lessons.exercises import lesson_names
from . import GradingError

FILE = "course.toml"
_DAY = 24 * 60 * 60
_MOST_DAYS = 10_000
_OF_LATE = ("percent_a_day", "at_most", "grace_minutes")
_OF_LESSON = ("due", "extensions", "excused")


@dataclass(frozen=True)
class Deadlines:
    """What the file says; without one, nothing."""

    due: Mapping[str, datetime] = field(default_factory=dict)  # in UTC, as nbgrader has it
    extensions: Mapping[tuple[str, str], timedelta] = field(default_factory=dict)
    excused: frozenset[tuple[str, str]] = frozenset()  # lesson and student, as above
    percent_a_day: float | None = None  # None: the file leaves penalties to nbgrader's settings
    at_most: float = 100.0
    grace: timedelta = timedelta()

    def penalty(self, score: float, seconds_late: float) -> float:
        """What is taken away from a score."""
        seconds = seconds_late - self.grace.total_seconds()
        days = math.ceil(seconds / _DAY) if seconds > 0 else 0
        return score * min(days * (self.percent_a_day or 0.0), self.at_most) / 100

    def as_entries(self) -> dict[str, str | float]:
        """Dates and extensions as plain data, as `late.due_dates` has them."""
        dates = {lesson: due.isoformat() for lesson, due in self.due.items()}
        more = {f"{of[0]}/{of[1]}": days.total_seconds() for of, days in self.extensions.items()}
        return dates | more


class ByDeadlines(LateSubmissionPlugin):
    """nbgrader's penalty by `course.toml`; without one, by nbgrader's own settings."""

    root = Unicode(help=f"The course with {FILE}.").tag(config=True)

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """What is taken away from a score; nbgrader asks for who is late."""
        deadlines = read_deadlines(Path(self.root))
        if (self.parent.assignment_id, student_id) in deadlines.excused:
            return None
        if deadlines.percent_a_day is None:
            return super().late_submission_penalty(student_id, score, total_seconds_late)
        return deadlines.penalty(score, total_seconds_late)


def use_deadlines(config: Config, root: Path) -> None:
    """Have nbgrader's step for penalties ask the file, where no setting names somebody else."""
    config.AssignLatePenalties.setdefault("plugin_class", ByDeadlines)
    config.ByDeadlines.root = str(root)


def read_deadlines(root: Path) -> Deadlines:
    """What `course.toml` says.

    Raises:
        GradingError: it cannot be read, or says what is not understood.
    """
    path = root / FILE
    if not path.exists():
        return Deadlines()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise GradingError(f"{path} cannot be read: {error}") from None
    say = _Says(path)
    known = ["late", *lesson_names()]
    for name, table in content.items():
        if name not in known:
            raise GradingError(f"{path}: no lesson is called {name!r}. {did_you_mean(name, known)}")
        say.only(name, table, _OF_LATE if name == "late" else _OF_LESSON)
    late = content.pop("late", {})
    due, extensions, excused = {}, {}, set()
    for lesson, table in content.items():
        if "due" in table:
            due[lesson] = say.moment(f"{lesson}.due", table["due"])
        for student, days in say.table(f"{lesson}.extensions", table.get("extensions", {})).items():
            place = f"{lesson}.extensions.{student}"
            days = say.number(place, days, _MOST_DAYS)
            extensions[lesson, student] = timedelta(days=days)
        for student in say.names(f"{lesson}.excused", table.get("excused", [])):
            excused.add((lesson, student))
    percent = late.get("percent_a_day")
    return Deadlines(
        due,
        extensions,
        frozenset(excused),
        None if percent is None else say.number("late.percent_a_day", percent, 100),
        say.number("late.at_most", late.get("at_most", 100), 100),
        timedelta(
            minutes=say.number("late.grace_minutes", late.get("grace_minutes", 0), 60 * 24 * 7)
        ),
    )


class _Says:
    """Values of the file, each of the kind that its place asks for."""

    def __init__(self, path: Path):
        self.path = path

    def only(self, name: str, table, known: tuple[str, ...]) -> None:
        for key in self.table(name, table):
            if key not in known:
                raise GradingError(
                    f"{self.path}: [{name}] has no {key!r}. {did_you_mean(key, known)}"
                )

    def moment(self, place: str, value) -> datetime:
        is_one = isinstance(value, datetime) and value.tzinfo is not None
        self._must(is_one, place, value, "a time with its offset: 2026-03-02T23:59:00+01:00")
        return value.astimezone(UTC).replace(tzinfo=None)

    def number(self, place: str, value, most: float) -> float:
        is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_one = is_one and 0 <= value <= most
        self._must(is_one, place, value, f"a number from 0 to {most}")
        return float(value)

    def table(self, place: str, value) -> dict:
        self._must(isinstance(value, dict), place, value, "a table")
        return value

    def names(self, place: str, value) -> list[str]:
        is_one = isinstance(value, list) and all(isinstance(each, str) for each in value)
        self._must(is_one, place, value, 'a list of students: ["ada"]')
        return value

    def _must(self, is_so: bool, place: str, value, what: str) -> None:
        if not is_so:
            raise GradingError(f"{self.path}: {place} must be {what}, got {str(value)[:60]!r}")
