"""Canvas: `submissions.zip` with all files at its top, and the gradebook as a CSV.

A file is called `lovelaceada_LATE_123_4567_02_self_attention-1.ipynb`: name, a mark if it is late,
the user's number, the file's number, and the name that it was handed in with; of an assignment that
is graded without names, `anon_x7Qz3_4567_…`. So say `lib/content_zipper.rb` and, of the CSV,
`lib/gradebook_exporter.rb` in Canvas's public source. A later file has a greater number.
"""

import re

from . import PlatformError
from .downloads import Download, File
from .handed_in import Arrival, Piece, leads_back, lesson_named
from .layout import ScoreColumn, Understood, grouped
from .people import CANVAS, LOGIN, Person
from .tables import Table

TITLE = "Canvas"
SEEN = "files called NAME_USER_FILE_…, such as lovelaceada_123_4567_…"
_FILE = re.compile(  # the name may be empty, of somebody whose name has no letters
    r"(?:(?P<late_too>LATE_)?(?P<anonymous>anon_[A-Za-z0-9]{5})"
    r"|(?P<name>\w*?)_(?P<late>LATE_)?(?P<user>\d+))_(?P<file>\d+)_(?P<original>.+)",
    re.S,
)
_OTHER = re.compile(r"\w+_(text|link)\.html")  # a text or an address, handed in instead of a file
LEFT_ALONE = ("EX", "N/A")  # excused, and not asked to hand in
_COMPUTED = re.compile(r"\b(Current|Final|Override) (Score|Points|Grade|Status)\b")


def recognises(download: Download) -> bool:
    """Whether most of its files are called so: a date in a name looks the same."""
    called = [file for file in download.files if _FILE.fullmatch(file.name) and len(file.path) <= 2]
    return 2 * len(called) > len(download.files)


def understand(download: Download) -> Understood:
    """Whose each file is."""
    theirs, problems, left = [], [], []
    for file in download.files:
        if found := _FILE.fullmatch(file.name):
            theirs.append((found["user"] or found["anonymous"], file))
        elif _OTHER.fullmatch(file.name):
            problems.append(f"{file}: a text or a link was handed in, and no file")
        else:
            left.append(str(file))
    return Understood(
        tuple(_arrival(files) for files in grouped(theirs).values()), tuple(problems), tuple(left)
    )


def _arrival(files: list[File]) -> Arrival:
    found = [_FILE.fullmatch(file.name) for file in files]
    name, user, anonymous = (found[0][group] for group in ("name", "user", "anonymous"))
    pieces = tuple(
        Piece((each["original"],), file.read, (int(each["file"]),), _back(each))
        for file, each in zip(files, found, strict=True)
    )
    ids = {CANVAS: user} if user else {LOGIN: anonymous}
    label = f"{name or ''} {user or anonymous}".strip()
    return Arrival(Person(ids, (name,) if name else ()), pieces, label,
                   is_late=any(each["late"] or each["late_too"] for each in found))  # fmt: skip


def _back(found: re.Match) -> str:
    """Canvas takes back what begins like this, as a comment on the submission."""
    name = f"{leads_back(found['name'])}_" if found["user"] else ""
    return f"{name}{found['user'] or found['anonymous']}_{found['file']}_"


def score_column(table: Table, lesson: str, asked: str | None) -> ScoreColumn:
    """The column of an assignment, which Canvas calls `Self-attention (4711)`."""
    at = [n for n, heading in enumerate(table.headings) if not _COMPUTED.search(heading)]
    if asked is not None:
        at = [n for n in at if asked in (table.headings[n], _title(table.headings[n]))]
    else:
        at = [n for n in at if lesson_named(_title(table.headings[n])) == lesson]
    if len(at) != 1:
        assignments = [heading for heading in table.headings if _title(heading) != heading]
        raise PlatformError(
            f"{table.name} must have one column for {asked or lesson}, got {len(at)}: "
            f"say which with --column, one of {', '.join(map(repr, assignments))}"
        )
    most = [row[at[0]] for row in map(table.row, range(len(table)))
            if row[0].strip() == "Points Possible"]  # fmt: skip
    return ScoreColumn(at[0], out_of=_number(most[0]) if most else None)


def _title(heading: str) -> str:
    return re.sub(r" \(\d+\)$", "", heading)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
