"""Gradescope: `assignment_12_export/submission_345/…` with `submission_metadata.yml`, and scores.

The file says of each folder who handed it in and when. A submission of a group is that of each of
its members. How the file is laid out was taken from public programs that read it; Gradescope
itself documents no layout.
"""

from collections.abc import Iterator, Mapping

import yaml

from ..own_files import shown
from . import PlatformError
from .archives import Refused
from .downloads import Download, File
from .handed_in import Arrival, Piece, leads_back
from .layout import ScoreColumn, Understood
from .people import EMAIL, SIS, Person
from .tables import Table

TITLE = "Gradescope"
SEEN = "a file submission_metadata.yml"
METADATA = "submission_metadata.yml"
LEFT_ALONE = ()


def recognises(download: Download) -> bool:
    """Whether that file lies at its top, or in the one folder there."""
    return _metadata(download) is not None


def understand(download: Download) -> Understood:
    """Whose each folder is.

    Raises:
        PlatformError: the file that says so cannot be read.
    """
    file = _metadata(download)
    if file is None:
        raise PlatformError(f"{download.name} must hold {METADATA}, got no such file")
    said, top = _read(file), file.path[:-1]
    theirs: dict[str, list[File]] = {name: [] for name in said}
    left, problems = [], []
    for other in download.files:
        below = other.path[len(top) :]
        if other.path[: len(top)] != top or other is file:
            left += [] if other is file else [str(other)]
        elif below[0] in theirs and len(below) > 1:
            theirs[below[0]].append(other)
        elif len(below) > 1:
            problems.append(f"{other}: {METADATA} does not say whose it is")
        else:
            left.append(str(other))
    arrivals = [
        arrival
        for name, files in theirs.items()
        for arrival in _arrivals(name, files, said[name], len(top))
    ]
    nobodys = [shown(name) for name in said if not _people(said[name])]
    problems += [f"{name}: {METADATA} names nobody" for name in nobodys]
    return Understood(tuple(arrivals), tuple(problems), tuple(left))


def _metadata(download: Download) -> File | None:
    found = [file for file in download.files if file.name == METADATA and len(file.path) <= 2]
    return min(found, key=lambda file: len(file.path), default=None)


class _Loader(yaml.SafeLoader):
    """Plain data; what has a tag of Ruby's is taken for what it is without."""


_Loader.add_multi_constructor("", lambda loader, tag, node: None)


def _read(file: File) -> Mapping[str, Mapping]:
    try:
        said = yaml.load(file.read(), Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, Refused) as error:
        raise PlatformError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict):
        raise PlatformError(f"{file} must say whose each folder is, got {type(said).__name__}")
    return {_whole(name): about if isinstance(about, dict) else {} for name, about in said.items()}


def _arrivals(name: str, files: list[File], about: Mapping, depth: int) -> Iterator[Arrival]:
    when = about.get(":created_at")
    # Its own copy of the data would be a student's word.
    order = (str(when),) if when else ()
    for person in _people(about):
        back = leads_back(f"{name}_{person.ids.get(SIS) or person.ids.get(EMAIL) or person}_")
        pieces = tuple(
            Piece(file.path[depth + 1 :], file.read, order, back.replace("/", "-"))
            for file in files
        )
        yield Arrival(person, pieces, f"{person} ({name})", when=_as_time(when))


def _as_time(when: object) -> str:
    """A time as a table of times has it: `2026-11-30 08:00:00 UTC`, or with its offset."""
    if not hasattr(when, "isoformat"):
        return str(when or "")
    text = when.replace(microsecond=0).isoformat(sep=" ")
    return text if when.tzinfo else f"{text} UTC"


def _people(about: Mapping) -> list[Person]:
    submitters = about.get(":submitters")
    found = []
    for one in submitters if isinstance(submitters, list) else []:
        if isinstance(one, dict):
            ids = {SIS: one.get(":sid"), EMAIL: one.get(":email")}
            ids = {kind: _whole(text) for kind, text in ids.items() if text}
            names = (_whole(one[":name"]),) if one.get(":name") else ()
            found += [Person(ids, names)] if ids or names else []
    return found


def _whole(value: object) -> str:
    """A text in which no character is written as two halves, as JSON may escape it."""
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def score_column(table: Table, lesson: str, asked: str | None) -> ScoreColumn:
    """The column Total Score of an assignment's scores."""
    heading = asked or "Total Score"
    if table.headings.count(heading) != 1:
        raise PlatformError(
            f"{table.name} must have one column {heading!r}, got {', '.join(table.headings)}: "
            "say which with --column"
        )
    most = "Max Points" if asked is None else f"{asked} - Max Points"
    at = table.headings.index(most) if most in table.headings else None
    return ScoreColumn(table.headings.index(heading), most=at)
