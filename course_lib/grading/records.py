"""The files a grading run writes beside the gradebook: `run.json` and `grades_long.csv`."""

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..files import write_atomically

COLUMNS = (
    "student",
    "lesson",
    "component",
    "points",
    "max_points",
    "diagnosis",
    "sandbox",
    "seconds",
    "basis",
    "comment",
    "note",
)

# How a row's points came about, in the column `basis`. The first two may come with extra credit.
JUDGED, MANUAL, EXTRA = "judged", "manual", " + extra credit"
NOT_ASKED, MISSING, LATE, EXCUSED = "not asked", "missing", "late", "excused"

# A spreadsheet runs a cell that begins with one of these as a formula; the last four are the
# same signs in the full width of East Asian scripts.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
_AS_TEXT = "'"

csv.field_size_limit(2**31 - 1)  # a comment may be longer than what csv reads of its own accord


def write_json(path: Path, content: Mapping) -> None:
    """Write one JSON object, whole or not at all."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict:
    """The JSON object at `path`; an empty one when there is none, or only a part of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_grades(path: Path, rows: Iterable[Mapping]) -> None:
    """Write `grades_long.csv`: one row for each component of each submission, and each penalty.

    A text that a spreadsheet would run as a formula (a student called `=cmd|…`) gets an
    apostrophe in front; `read_grades` takes it away again.
    """
    with tempfile.SpooledTemporaryFile(mode="w+", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({column: as_cell(row[column]) for column in COLUMNS})
        file.seek(0)
        write_atomically(path, file.read())


def read_grades(path: Path) -> list[dict]:
    """The rows of a `grades_long.csv`, numbers as numbers and names as they were."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for column, cell in row.items():
            if column in ("points", "max_points", "seconds"):
                row[column] = float(cell)
            elif cell.startswith(_AS_TEXT) and cell[1:].startswith((*_FORMULA, _AS_TEXT)):
                row[column] = cell[1:]
    return rows


def as_cell(value) -> str:
    """A value as a cell of any table that a spreadsheet may open."""
    if isinstance(value, str):
        return _AS_TEXT + value if value.startswith((*_FORMULA, _AS_TEXT)) else value
    return f"{value:.10g}"
