"""What decides how late a submission is: settings that a person entered, in one of two gradebooks.

`course release` and formgrader write the course's own gradebook; the class's gradebook follows it
until somebody enters something else there, which then stays.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.utils import parse_utc

from . import GradingError
from .course import course_gradebook
from .deadlines import read_deadlines


def due_dates(root: Path, known: Mapping) -> dict:
    """Due dates and extensions of the course, as plain data.

    They stand in its `course.toml`, and what that does not say in its gradebook. A due date stands
    under its lesson, an extension (in seconds) under lesson and student.

    Args:
        known: what they were before: so they stay where `root` has no gradebook that says more.
    """
    of_file, course = read_deadlines(root).as_entries(), course_gradebook(root)
    if course is None:
        return dict(known) | of_file
    found = {}
    with course as book:
        for assignment in book.assignments:
            found[assignment.name] = _plain(assignment.duedate)
            for submission in assignment.submissions:
                key = f"{assignment.name}/{submission.student_id}"
                found[key] = _plain(submission.extension)
    return {key: value for key, value in found.items() if value is not None} | of_file


def follow(submission: SubmittedAssignment, course: Mapping, before: Mapping) -> list[str]:
    """Give a submission the course's due date and extension, unless the class has its own.

    Args:
        course: the course's settings, as `due_dates` gives them.
        before: what they were when they were last followed.

    Returns:
        What differs from the course because somebody entered it here.
    """
    assignment, differs = submission.assignment, []
    entries = {
        assignment.name: (assignment, "duedate"),
        f"{assignment.name}/{submission.student_id}": (submission, "extension"),
    }
    for key, (entry, name) in entries.items():
        own, theirs = _plain(getattr(entry, name)), course.get(key)
        if own is None or own == before.get(key):
            setattr(entry, name, _entered(theirs))
        elif theirs is not None and own != theirs:
            differs.append(
                f"{key}: the {name} {_entered(own)} in the class's gradebook counts, "
                f"not {_entered(theirs)} in the course's"
            )
    return differs


def enter_deadlines(root: Path, db_url: str, lesson: str, student: str) -> None:
    """Have the course's own gradebook say what its `course.toml` says of a submission."""
    entries = read_deadlines(root).as_entries()
    with Gradebook(db_url) as book:
        submission = book.find_submission(lesson, student)
        if lesson in entries:
            submission.assignment.duedate = _entered(entries[lesson])
        if f"{lesson}/{student}" in entries:
            submission.extension = _entered(entries[f"{lesson}/{student}"])
        book.db.commit()


def is_dated(submission: SubmittedAssignment) -> bool:
    """Whether it can be late at all: without both dates nbgrader's step has nothing to compare."""
    return submission.timestamp is not None and submission.assignment.duedate is not None


def time_of(text: str, where: str) -> datetime:
    """The moment that a text names, in UTC.

    Args:
        where: what the text is, for a message.

    Raises:
        GradingError: it names none.
    """
    try:
        return parse_utc(text)
    except Exception:  # dateutil raises what it pleases at a text that somebody has twisted
        raise GradingError(f"{where} names no time: {text[:40]!r}") from None


def _plain(value: datetime | timedelta | None) -> str | float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return None if value is None else value.isoformat()


def _entered(value: str | float | None) -> datetime | timedelta | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return None if value is None else timedelta(seconds=value)
