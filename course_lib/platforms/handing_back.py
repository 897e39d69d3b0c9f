"""`course hand-back`: a class's scores and feedback, in the files that a platform takes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..files import write_atomically
from . import PlatformError
from .collected import Collected, read_collected
from .feedback import pack_feedback
from .filling import Filled, fill, people_of
from .known import PLATFORMS, WITH_GRADEBOOK
from .own_tables import long, pseudonyms, wide
from .people import MOODLE, Person
from .roster import read_roster
from .scores import Score, lesson_to_hand_back, read_rows, scores_of
from .tables import read_table

CSV = "csv"
TO = (*WITH_GRADEBOOK, CSV)
FEEDBACK = "feedback.zip"


@dataclass
class Written:
    """What was written, and what there is to say of it."""

    files: list[Path] = field(default_factory=list)
    filled: Filled | None = None
    pages: int = 0
    without_page: list[str] = field(default_factory=list)


def hand_back(
    grades: Path,
    out: Path,
    *,
    to: str,
    submitted: Path | None = None,
    roster: Path | None = None,
    key: str | None = None,
    lesson: str | None = None,
    gradebook: Path | None = None,
    column: str | None = None,
    scale: bool = False,
    anonymous: bool = False,
) -> Written:
    """Write what goes back to a platform below `out`.

    Args:
        grades: what `course grade --out` wrote.
        to: one of `TO`.
        submitted: what `course collect` wrote: it knows who is who, and the way back.
        roster: the class's list, where students' folders are named by hand after it.
        key: its column that they are named after.
        gradebook: the platform's own file, into a copy of which the scores go.

    Raises:
        PlatformError: nothing can be handed back.
    """
    rows = read_rows(grades)
    scores = scores_of(rows)
    of_a_platform = {
        **{"gradebook": gradebook, "column": column, "scale": scale},
        **{"submitted": submitted, "roster": roster},
    }
    for name, asked in of_a_platform.items():
        if to == CSV and asked:
            raise PlatformError(f"--{name} is for what a platform takes back: say which with --to")
    if anonymous and to != CSV:
        raise PlatformError(
            f"--anonymous is for --to csv, got {to}: a platform has to know whose a score is"
        )
    if to != CSV and gradebook is None and submitted is None:
        raise PlatformError(
            f"--to {to} needs --gradebook, the file that the platform exported, for scores; "
            "or --submitted, what course collect wrote, for feedback"
        )
    try:
        if to == CSV:
            if lesson is not None:
                lesson = lesson_to_hand_back(scores, lesson)
                rows = [row for row in rows if row["lesson"] == lesson]
            return _own_tables(rows, grades, out, anonymous)
        lesson = lesson_to_hand_back(scores, lesson)
        of_lesson = {who: theirs[lesson] for who, theirs in scores.items() if lesson in theirs}
        collected = read_collected(submitted) if submitted else Collected({}, {})
        written = Written()
        if gradebook is not None:
            listed = read_roster(roster, key) if roster is not None else {}
            people = people_of({**listed, **_known(collected, lesson)}, of_lesson)
            table = read_table(gradebook)
            written.filled = fill(
                table, PLATFORMS[to], people, of_lesson, lesson=lesson, column=column, scale=scale
            )
            target = out / gradebook.name
            if target.resolve() == gradebook.resolve():
                raise PlatformError(f"--out must be another folder than that of {gradebook}")
            write_atomically(target, table.content())
            written.files.append(target)
        if submitted is not None:
            _pack(grades, out, to, lesson, of_lesson, collected, written)
        return written
    except OSError as error:
        raise PlatformError(f"{out} cannot be written to: {error.strerror}") from None


def _own_tables(rows: list[dict], grades: Path, out: Path, anonymous: bool) -> Written:
    if out.resolve() == grades.resolve():
        raise PlatformError(f"--out must be another folder than --grades, got {out} for both")
    call = pseudonyms(grades) if anonymous else str
    tables = {
        "grades_wide.csv": wide(scores_of(rows), call),
        "grades_long.csv": long(rows, call, with_words=not anonymous),
    }
    for name, text in tables.items():
        write_atomically(out / name, text)
    written = Written([out / name for name in tables])
    if not anonymous:  # a page says who wrote it
        backs = {(row["student"], row["lesson"]): f"{row['student']}_" for row in rows}
        _write_feedback(grades, out, backs, written)
    return written


def _known(collected: Collected, lesson: str) -> dict[str, Person]:
    """Who is on record; Moodle's number is the one of this lesson's assignment."""
    known = {}
    for student, person in collected.people.items():
        ids = collected.entries.get((student, lesson), {}).get("ids", {})
        number = {MOODLE: ids[MOODLE]} if MOODLE in ids else {}
        known[student] = Person({**person.ids, **number}, person.names)
    return known


def _pack(
    grades: Path,
    out: Path,
    to: str,
    lesson: str,
    scores: dict[str, Score],
    collected: Collected,
    written: Written,
) -> None:
    """Pack the feedback of everybody whose submission came from that platform."""
    backs = {}
    for student in scores:
        entry = collected.entries.get((student, lesson), {})
        if entry.get("platform") == to:
            backs[student, lesson] = entry["back"]
        elif entry:
            written.without_page.append(f"{student}: collected from {entry.get('platform')}")
    if not backs:
        raise PlatformError(
            f"no submission of {lesson} was collected from {to}: --submitted must be a folder "
            "that course collect wrote"
        )
    _write_feedback(grades, out, backs, written)


def _write_feedback(
    grades: Path, out: Path, backs: Mapping[tuple[str, str], str], written: Written
) -> None:
    content, written.pages, missing = pack_feedback(grades, backs)
    write_atomically(out / FEEDBACK, content)
    written.files.append(out / FEEDBACK)
    written.without_page += missing
