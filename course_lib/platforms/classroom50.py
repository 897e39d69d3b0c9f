"""Classroom 50 and GitHub Classroom: a folder for each repository, cloned side by side.

`gh teacher download` makes `CLASSROOM-ASSIGNMENT_submissions_TIME/CLASSROOM-ASSIGNMENT-USERNAME/`
with `scores.csv` beside them, `gh classroom clone` `ASSIGNMENT-submissions/ASSIGNMENT-USERNAME/`.
So say `cli/gh-teacher/internal/download/download.go` of Classroom 50 and the public source of
`gh-classroom`. A username may hold hyphens: it is what follows the name of the folder around, or
one that `scores.csv` names.
"""

import re
from collections.abc import Mapping

from ..own_files import shown
from . import PlatformError
from .archives import Refused
from .downloads import Download, File
from .handed_in import Arrival, Piece, leads_back
from .layout import ScoreColumn, Understood, top_folders
from .people import LOGIN, Person
from .tables import Table

TITLE = "Classroom 50 or GitHub Classroom"
SEEN = "a folder …_submissions_… or …-submissions with repositories, or a scores.csv beside them"
SCORES = "scores.csv"
_AROUND = re.compile(r"(?P<prefix>.+?)(?:-submissions|_submissions(?:_.*)?)", re.S)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")
LEFT_ALONE = ()


def recognises(download: Download) -> bool:
    """Whether the folder around, or the file beside the repositories, is called so."""
    inner = _inner(download)
    return bool(top_folders(inner)) and (
        _AROUND.fullmatch(inner.name) is not None
        or any(file.path == (SCORES,) for file in inner.files)
    )


def understand(download: Download) -> Understood:
    """Whose each repository is."""
    inner = _inner(download)
    scores = _scores(inner)
    around = _AROUND.fullmatch(inner.name)
    prefix = f"{around['prefix']}-".casefold() if around else None
    arrivals, problems = [], []
    for folder, files in top_folders(inner).items():
        user = _user(folder, prefix, scores)
        if user is None:
            problems.append(
                f"{shown(folder)}: its name does not say whose it is: keep the folder's name "
                f"ASSIGNMENT-submissions, or {SCORES} beside it"
            )
            continue
        pieces = tuple(
            Piece(file.path[1:], file.read, (), leads_back(f"{folder}_")) for file in files
        )
        about = scores.get(user.casefold(), {})
        late = {"true": True, "false": False}.get(about.get("late", ""))
        arrivals.append(Arrival(Person({LOGIN: user}), pieces, user, about.get("when", ""), late))
    left = [str(file) for file in inner.files if len(file.path) == 1 and file.name != SCORES]
    return Understood(tuple(arrivals), tuple(problems), tuple(left))


def _inner(download: Download) -> Download:
    """The download itself, or the folder with repositories that is all that lies in it."""
    tops = {file.path[0] for file in download.files}
    if len(tops) == 1 and _AROUND.fullmatch(top := next(iter(tops))):
        files = tuple(File(f.path[1:], f.read) for f in download.files if len(f.path) > 1)
        return Download(top, files, download.refused)
    return download


def _user(folder: str, prefix: str | None, scores: Mapping[str, Mapping]) -> str | None:
    if prefix and folder.casefold().startswith(prefix) and len(folder) > len(prefix):
        return folder[len(prefix) :]
    named = [user for user in scores if folder.casefold().endswith(f"-{user}")]
    return folder[-len(max(named, key=len)) :] if named else None


def _scores(download: Download) -> dict[str, dict[str, str]]:
    """What `scores.csv` says of each user's newest submission, by username in lower case."""
    file = next((file for file in download.files if file.path == (SCORES,)), None)
    if file is None:
        return {}
    try:
        table = Table(file.read(), str(file))
    except Refused as reason:
        raise PlatformError(f"{file}: {reason}") from None
    newest = _newest(table)
    return {user: about for user, (_, about) in newest.items()}


def earlier_rows(table: Table) -> set[int]:
    """The rows of submissions that a later one of the same user follows."""
    return set(range(len(table))) - {number for number, _ in _newest(table).values()}


def _newest(table: Table) -> dict[str, tuple[int, dict[str, str]]]:
    """The row of each user's newest submission, and what it says, by username in lower case."""
    found: dict[str, tuple[int, dict[str, str]]] = {}
    for number in range(len(table)):
        row = dict(zip(table.headings, table.row(number), strict=True))
        time = row.get("datetime", "")
        about = {"when": time if _TIME.fullmatch(time) else "", "late": row.get("late", "")}
        user = row.get("username", row.get("github_username", "")).strip().casefold()
        before = found[user][1]["when"] if user in found else ""
        if user and about["when"] >= before:
            found[user] = number, about
    return found


def score_column(table: Table, lesson: str, asked: str | None) -> ScoreColumn:
    """The column `score` of `scores.csv`, or GitHub Classroom's `points_awarded`."""
    pairs = {"score": "max_score", "points_awarded": "points_available"}
    heading = asked or next((name for name in pairs if name in table.headings), "score")
    if table.headings.count(heading) != 1:
        raise PlatformError(
            f"{table.name} must have one column {heading!r}, got {', '.join(table.headings)}: "
            "say which with --column"
        )
    most = pairs.get(heading)
    at = table.headings.index(most) if most in table.headings else None
    return ScoreColumn(table.headings.index(heading), most=at)
