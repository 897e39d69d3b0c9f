"""nbgrader: a course's `submitted/`, an exchange's `inbound/`, and what its zip_collect unpacks.

    STUDENT/LESSON/LESSON.ipynb
    STUDENT+LESSON+2026-11-30 08:00:00.000000 UTC+…/LESSON.ipynb
    extracted/LESSON_STUDENT_attempt_2026-11-30-08-00-00_LESSON.ipynb

So say nbgrader's documentation and its module `exchange/default/submit.py`; the last is the
pattern of its documentation, and stands for a platform whose names are like that.
"""

import re

from ..lessons.exercises import lesson_names
from .downloads import Download, File
from .handed_in import Arrival, Piece, leads_back, lesson_named
from .layout import Understood, grouped
from .people import LOGIN, Person

TITLE = "nbgrader"
SEEN = "folders STUDENT/LESSON or STUDENT+LESSON+TIME"
_INBOUND = re.compile(
    r"(?P<student>[^+]+)\+(?P<lesson>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S*(?: UTC)?"
    r"(?:\+.*)?",
    re.S,
)
_ATTEMPT = re.compile(
    r"(?P<lesson>.+?)_(?P<student>[^_]+)_attempt_(?P<time>\d{4}(?:-\d\d){5})_.+", re.S
)


def recognises(download: Download) -> bool:
    """Whether its folders or files are called so."""
    return any(_split(file) for file in _inner(download))


def understand(download: Download) -> Understood:
    """Whose each file is, and of when."""
    theirs, left = [], []
    for file in _inner(download):
        split = _split(file)
        if split is None:
            left.append(str(file))
        elif file.name != "timestamp.txt":  # who wrote it, nobody knows here
            theirs.append((split[0], file))
    return Understood(
        tuple(_arrival(files) for files in grouped(theirs).values()), left=tuple(left)
    )


def _inner(download: Download) -> list[File]:
    """The files, below folders that nbgrader itself puts around."""
    around = ("submitted", "inbound", "downloaded", "extracted")
    files = []
    for file in download.files:
        path = file.path
        while len(path) > 1 and path[0] in around:
            path = path[1:]
        files.append(File(path, file.read))
    return files


def _split(file: File) -> tuple[str, str, str, tuple[str, ...]] | None:
    """What belongs together, whose it is, of when, and its path in what was handed in."""
    if len(file.path) > 2 and file.path[1] in lesson_names():
        return "/".join(file.path[:2]), file.path[0], "", file.path[1:]
    if len(file.path) > 1 and (found := _INBOUND.fullmatch(file.path[0])):
        inside = (found["lesson"], *file.path[1:])
        return file.path[0], found["student"], f"{found['time']} UTC", inside
    if (found := _ATTEMPT.fullmatch(file.name)) and lesson_named(file.name):
        date, clock = found["time"][:10], found["time"][11:].replace("-", ":")
        whole = f"{found['student']} {found['time']}"
        return whole, found["student"], f"{date} {clock} UTC", (file.name,)
    return None


def _arrival(files: list[File]) -> Arrival:
    splits = [_split(file) for file in files]
    _, student, when, _ = splits[0]
    pieces = tuple(
        Piece(path, file.read, (when,) if when else (), leads_back(f"{student}_"))
        for file, (*_, path) in zip(files, splits, strict=True)
    )
    return Arrival(Person({LOGIN: student}, (student,)), pieces, student, when=when)
