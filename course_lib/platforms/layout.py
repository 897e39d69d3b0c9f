"""What each platform's module gives back: what it understood of a download, and what it did not."""

from collections.abc import Iterable
from dataclasses import dataclass

from .downloads import Download, File
from .handed_in import Arrival


@dataclass(frozen=True)
class Understood:
    """A download, taken apart.

    Args:
        problems: what was not understood, a sentence each.
        left: files that are nobody's submission.
    """

    arrivals: tuple[Arrival, ...]
    problems: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreColumn:
    """Where a platform's own file holds the scores of one lesson.

    Args:
        score: the column of the scores.
        most: the column that says, row by row, what can be reached; None where a row says it.
        out_of: what can be reached, where one row says it for all.
    """

    score: int
    most: int | None = None
    out_of: float | None = None


def grouped(files: Iterable[tuple[str, File]]) -> dict[str, list[File]]:
    """Files by the name that stands before each, in order."""
    found: dict[str, list[File]] = {}
    for name, file in files:
        found.setdefault(name, []).append(file)
    return found


def top_folders(download: Download) -> dict[str, list[File]]:
    """The files below each folder at the top of a download."""
    return grouped((file.path[0], file) for file in download.files if len(file.path) > 1)
