"""Moodle: a folder for each participant, and the grading worksheet as a CSV.

The folder is called `Ada Lovelace_123_assignsubmission_file`, with a `_` more at its end before
Moodle 4.1; files that Moodle was asked to put into no folders begin with the same words. The number
is the worksheet's `Participant 123`. So say `mod/assign/classes/downloader.php` and, of feedback,
`mod/assign/feedback/file/importziplib.php` in Moodle's public source.
"""

import re

from . import PlatformError
from .downloads import Download, File
from .handed_in import Arrival, Piece, leads_back
from .layout import ScoreColumn, Understood, grouped
from .people import MOODLE, Person
from .tables import Table

TITLE = "Moodle"
SEEN = "folders called NAME_NUMBER_assignsubmission_file"
_PREFIX = re.compile(
    r"(?P<name>[^_]*)_(?P<number>\d+)_assignsubmission_(?P<kind>[a-z0-9]+)(?:_(?P<rest>.*))?", re.S
)
LEFT_ALONE = ()


def recognises(download: Download) -> bool:
    """Whether a folder or a file is called so."""
    return any(_split(file) for file in download.files)


def understand(download: Download) -> Understood:
    """Whose each file is."""
    theirs, problems, left = [], [], []
    for file in download.files:
        split = _split(file)
        if split is None:
            left.append(str(file))
        elif split[0]["kind"] == "file":
            theirs.append((split[0]["number"], file))
        else:
            problems.append(f"{file}: a text was handed in, and no file")
    return Understood(
        tuple(_arrival(files) for files in grouped(theirs).values()), tuple(problems), tuple(left)
    )


def _split(file: File) -> tuple[re.Match, tuple[str, ...]] | None:
    """The part of a path that says whose it is, and the path in what was handed in."""
    for n, part in enumerate(file.path):
        if found := _PREFIX.fullmatch(part):
            rest = (found["rest"],) if found["rest"] else ()
            return found, (*rest, *file.path[n + 1 :]) or (part,)
    return None


def _arrival(files: list[File]) -> Arrival:
    splits = [_split(file) for file in files]
    name, number = splits[0][0]["name"], splits[0][0]["number"]
    # Moodle reads what stands between the first `_`, and nothing that begins with `.` or `~`.
    back = f"{leads_back(name.lstrip('.~ '))}_{number}_assignfeedback_file_"
    pieces = tuple(
        Piece(path, file.read, (), back) for file, (_, path) in zip(files, splits, strict=True)
    )
    names = (name,) if name and name != "Participant" else ()
    return Arrival(Person({MOODLE: number}, names), pieces, f"{name} {number}".strip())


def score_column(table: Table, lesson: str, asked: str | None) -> ScoreColumn:
    """The column Grade of an assignment's grading worksheet, which is about one assignment."""
    heading = asked or "Grade"
    if table.headings.count(heading) != 1:
        raise PlatformError(
            f"{table.name} must be a grading worksheet with one column {heading!r}, got "
            f"{', '.join(table.headings)}: download it with Moodle set to English, "
            "or name the column with --column"
        )
    most = [n for n, name in enumerate(table.headings) if name.casefold() == "maximum grade"]
    return ScoreColumn(table.headings.index(heading), most=most[0] if most else None)
