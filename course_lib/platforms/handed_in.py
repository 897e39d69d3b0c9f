"""What somebody handed in: which notebook is of which lesson, and the package beside it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from ..lessons.exercises import lesson_names, read_notebook, read_package_checks
from ..lessons.package_text import PACKAGE
from ..own_files import shown
from .archives import OTHERS, Refused, unpack
from .people import Person

MAX_BACK = 120  # bytes at the beginning of a name that leads back
_MODULE = re.compile(r"[A-Za-z_]\w{0,100}\.py", re.A)


@dataclass(frozen=True)
class Piece:
    """One file of it.

    Args:
        path: where it lies in what was handed in.
        read: gives its bytes, or raises `Refused`.
        order: what is greater came later; all alike where the platform does not say.
        back: how the name of a file begins that finds its way back to it.
    """

    path: tuple[str, ...]
    read: Callable[[], bytes]
    order: tuple = ()
    back: str = ""

    @property
    def name(self) -> str:
        return self.path[-1]

    def __str__(self) -> str:
        return shown("/".join(self.path))


@dataclass(frozen=True)
class Arrival:
    """All that a platform has of one person's submission.

    Args:
        label: how the platform calls it.
        when: the time at which it was handed in, where the platform says so.
        is_late: whether the platform calls it late; None where it does not say.
    """

    person: Person
    pieces: tuple[Piece, ...]
    label: str
    when: str = ""
    is_late: bool | None = None


@dataclass(frozen=True)
class Submission:
    """A lesson as it was handed in: the notebook, and for some lessons the package."""

    lesson: str
    notebook: bytes
    package: Mapping[str, bytes]
    order: tuple
    back: str

    def files(self) -> dict[str, bytes]:
        """Its files, by their paths in the folder that `course grade` reads."""
        modules = {f"{PACKAGE}/{name}": text for name, text in self.package.items()}
        return {f"{self.lesson}.ipynb": self.notebook, **modules}


@dataclass
class Opened:
    """What an arrival came to."""

    submissions: list[Submission] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what was not understood or refused
    left: list[str] = field(default_factory=list)  # files that no grade depends on


def open_arrival(arrival: Arrival, lesson: str | None) -> Opened:
    """Find what was handed in for a lesson, or for each that a name says.

    Args:
        lesson: what the download is about; without it, the names of files and folders say so.
    """
    opened = Opened()
    pieces = _unpacked(arrival.pieces, opened)
    by_lesson, unnamed = _notebooks(pieces, lesson)
    told = set(map(id, unnamed))  # the files of which something is said already
    for piece in unnamed:
        opened.problems.append(f"{piece}: its name says no lesson: say which it is with --lesson")
    for name, notebooks in by_lesson.items():
        chosen = _chosen(notebooks, name, opened)
        if chosen is None:
            told |= set(map(id, notebooks))
            continue
        modules = _package(pieces, chosen, opened) if _has_package(name) else []
        try:
            package = {piece.name: piece.read() for piece in modules}
            found = Submission(name, chosen.read(), package, chosen.order, chosen.back)
        except Refused as reason:
            opened.problems.append(f"{chosen}: {reason}")
            continue
        finally:
            told |= set(map(id, [chosen, *modules]))
        opened.submissions.append(found)
    opened.left += [str(piece) for piece in pieces if id(piece) not in told]
    if not opened.submissions and not opened.problems:
        held = ", ".join(opened.left[:5]) + (", …" if len(opened.left) > 5 else "")
        of = f" of {lesson}" if lesson else ""
        opened.problems.append(f"no notebook{of} is in it, but {held or 'nothing at all'}")
        opened.left = []
    return opened


def lesson_named(text: str) -> str | None:
    """The lesson whose name stands in a text, as people and browsers write it.

    >>> lesson_named("ada - 02_Self_Attention (1)")
    '02_self_attention'
    """
    plain = re.sub(r"[\s_-]+", "_", text).casefold()
    found = {name for name in lesson_names() if name.casefold() in plain}
    return found.pop() if len(found) == 1 else None


def leads_back(start: str) -> str:
    """The beginning of a file's name, not longer than a name can be; what follows is ours."""
    return start.encode("utf-8", "replace")[:MAX_BACK].decode("utf-8", "ignore")


@cache
def _has_package(lesson: str) -> bool:
    return bool(read_package_checks(read_notebook(lesson)))


def _unpacked(pieces: tuple[Piece, ...], opened: Opened) -> list[Piece]:
    """The files, with those of an archive in place of it."""
    found = []
    for piece in pieces:
        suffix = piece.name.lower().rpartition(".")[2]
        if f".{suffix}" in OTHERS:
            opened.problems.append(f"{piece}: it is an archive of another kind: only zip is opened")
        elif suffix != "zip":
            found.append(piece)
        else:
            try:
                content = unpack(piece.read())
            except Refused as reason:
                opened.problems.append(f"{piece}: {reason}")
                continue
            top = (*piece.path[:-1], _without_number(piece.name[:-4]))
            found += [
                Piece((*top, *path), lambda text=text: text, piece.order, piece.back)
                for path, text in content.items()
            ]
    return found


def _without_number(stem: str) -> str:
    """The name of a file without the number that platform or browser put behind it."""
    return re.sub(r"[\s_-]*(\(\d+\)|-\d{1,3})$", "", stem)


def _notebooks(
    pieces: list[Piece], lesson: str | None
) -> tuple[dict[str, list[Piece]], list[Piece]]:
    """The notebooks that may be those of each lesson; and those that may be of any."""
    named: dict[str | None, list[Piece]] = {}
    for piece in pieces:
        if piece.name.lower().endswith(".ipynb"):
            named.setdefault(_lesson_of(piece), []).append(piece)
    unnamed = named.pop(None, [])
    if lesson is not None:
        found = named.get(lesson) or unnamed
        return {lesson: found} if found else {}, []
    return named, unnamed


def _lesson_of(piece: Piece) -> str | None:
    """The lesson that the name of a file says, or that of the folder nearest to it."""
    parts = (piece.name.rpartition(".")[0], *reversed(piece.path[:-1]))
    return next((found for part in parts if (found := lesson_named(part))), None)


def _chosen(notebooks: list[Piece], lesson: str, opened: Opened) -> Piece | None:
    """The one of several that counts: the newest; None, with the problem, where none is."""
    newest = max(piece.order for piece in notebooks)
    last = [piece for piece in notebooks if piece.order == newest]
    try:
        contents = {piece.read() for piece in last} if len(last) > 1 else {b""}
    except Refused as reason:
        opened.problems.append(f"{last[0]}: {reason}")
        return None
    if len(contents) == 1:
        return last[0]
    names = ", ".join(map(str, last))
    opened.problems.append(f"which notebook of {lesson} counts is not clear: {names}")
    return None


def _package(pieces: list[Piece], notebook: Piece, opened: Opened) -> list[Piece]:
    """The modules of the package that lies beside the notebook, or of the only one."""
    packages: dict[tuple[str, ...], list[Piece]] = {}
    for piece in pieces:
        if piece.path[-2:-1] == (PACKAGE,) and _MODULE.fullmatch(piece.name):
            packages.setdefault(piece.path[:-1], []).append(piece)
    beside = packages.get((*notebook.path[:-1], PACKAGE))
    if beside is not None:
        return beside
    if not packages:
        loose = ", ".join(str(piece) for piece in pieces if _MODULE.fullmatch(piece.name))
        if loose:
            opened.problems.append(
                f"modules lie in no folder {PACKAGE}, and are not taken: {loose}"
            )
        return []
    newest = max(found[0].order for found in packages.values())
    last = [found for found in packages.values() if found[0].order == newest]
    if len(last) == 1:
        return last[0]
    names = ", ".join(shown("/".join(path)) for path in packages)
    opened.problems.append(f"which package counts is not clear: {names}")
    return []
