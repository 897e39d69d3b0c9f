"""Tables of our own, for a spreadsheet or a program: wide and long, also without names."""

import csv
import hashlib
import hmac
import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..files import write_atomically
from ..grading.records import as_cell
from .scores import Score, written

KEY = "anonymous.key"  # beside the grades: with it, and only with it, pseudonyms can be told
LONG = ("student", "lesson", "component", "points", "max_points", "basis")
IN_WORDS = ("diagnosis", "comment")  # what students and teachers wrote may say who they are


def wide(scores: Mapping[str, Mapping[str, Score]], call: Callable[[str], str]) -> str:
    """A row for each student: two columns for each lesson, what they have and out of what."""
    lessons = sorted({lesson for theirs in scores.values() for lesson in theirs})
    pairs = [(lesson, f"{lesson} out of") for lesson in (*lessons, "total")]
    rows = []
    for student, theirs in scores.items():
        found = [theirs.get(lesson) for lesson in lessons]
        total = [score for score in found if score]
        found.append(Score(sum(s.points for s in total), sum(s.most for s in total)))
        cells = [(written(s.points), written(s.most)) if s else ("", "") for s in found]
        rows.append([call(student), *(cell for pair in cells for cell in pair)])
    return _table(["student", *(name for pair in pairs for name in pair)], sorted(rows))


def long(rows: Sequence[Mapping], call: Callable[[str], str], *, with_words: bool) -> str:
    """A row for each component of each student."""
    columns = (*LONG, *IN_WORDS) if with_words else LONG
    found = [{**row, "student": call(row["student"])} for row in rows]
    found.sort(key=lambda row: (row["student"], row["lesson"]))
    return _table(columns, [[row[column] for column in columns] for row in found])


def pseudonyms(grades: Path) -> Callable[[str], str]:
    """What to call each student where nobody is to know them; the same in every run.

    Raises:
        OSError: the key cannot be kept beside the grades.
    """
    path = grades / KEY
    if not path.exists():
        write_atomically(path, secrets.token_hex(32) + "\n")
        path.chmod(0o600)
    key = path.read_text(encoding="utf-8").strip().encode()
    return lambda student: (
        "student-" + hmac.new(key, student.encode("utf-8"), hashlib.sha256).hexdigest()[:10]
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(
            [written(cell) if isinstance(cell, float) else as_cell(cell) for cell in row]
        )
    return text.getvalue()
