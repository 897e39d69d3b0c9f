"""A platform's own file, with our scores in its column; every other cell stays as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

from ..grading.records import as_cell
from ..own_files import shown
from . import PlatformError
from .layout import ScoreColumn
from .people import ANY, NotFound, People, Person
from .roster import PersonColumns
from .scores import Score, written
from .tables import Table


@dataclass
class Filled:
    """What there is to say of a file that was filled."""

    heading: str = ""
    scores: int = 0  # how many cells hold a score of ours
    replaced: list[str] = field(default_factory=list)  # scores that stood there, and differ
    left: list[str] = field(default_factory=list)  # cells that say something else, such as EX
    without: list[str] = field(default_factory=list)  # rows of people who have no score
    not_there: list[str] = field(default_factory=list)  # students with a score and no row
    formulas: int = 0  # cells of the platform that a spreadsheet would run


def fill(
    table: Table,
    platform: ModuleType,
    people: People,
    scores: Mapping[str, Score],
    *,
    lesson: str,
    column: str | None = None,
    scale: bool = False,
) -> Filled:
    """Put each student's score into their row.

    Args:
        people: who the students are, by the name of their folder.
        column: the heading of the column, where the platform's module does not find it.
        scale: bring scores to what the platform says can be reached.

    Raises:
        PlatformError: the file is not the platform's, has two rows for somebody, or its scores are
            out of another number of points.
    """
    who, where = PersonColumns(table), platform.score_column(table, lesson, column)
    filled, rows = Filled(table.headings[where.score]), {}
    earlier = platform.earlier_rows(table) if hasattr(platform, "earlier_rows") else ()
    for number in range(len(table)):
        row = table.row(number)
        filled.formulas += sum(map(_is_formula, row))
        person = who.person(row)
        if person is None or number in earlier:
            continue
        try:
            student = people.find(person)
        except NotFound:
            student = None
        if student not in scores:
            filled.without.append(shown(str(person)))
        elif student in rows:
            raise PlatformError(
                f"{table.name} must have one row for each student, got two for {student}: "
                f"{rows[student]} and {person}"
            )
        else:
            rows[student] = person
            _fill_row(table, platform, where, number, student, scores[student], scale, filled)
    if not rows:
        raise PlatformError(
            f"{table.name} must have a row of a student with a score, got {len(filled.without)} "
            "rows of others: say who is who, with --submitted that course collect wrote or with "
            "--roster"
        )
    filled.not_there = sorted(set(scores) - set(rows))
    return filled


def _fill_row(
    table: Table,
    platform: ModuleType,
    where: ScoreColumn,
    number: int,
    student: str,
    score: Score,
    scale: bool,
    filled: Filled,
) -> None:
    row = table.row(number)
    stood = row[where.score].strip()
    if stood.upper() in platform.LEFT_ALONE:
        filled.left.append(f"{student}: {shown(stood)}")
        return
    out_of = where.out_of
    if where.most is not None and _is_number(row[where.most]):
        out_of = _number(row[where.most])
    now = written(_brought_to(score, out_of, table, student) if scale else score.points)
    if not scale and out_of is not None and abs(out_of - score.most) > 1e-6:
        raise PlatformError(
            f"{table.name} has scores out of {written(out_of)} in {filled.heading!r}, and ours "
            f"are out of {written(score.most)}: give the assignment as many points, or bring "
            "ours to its number with --scale"
        )
    if stood and not (_is_number(stood) and abs(_number(stood) - float(now)) < 0.005):
        filled.replaced.append(f"{student}: {shown(stood)} is now {now}")
    table.set(number, where.score, now)
    filled.scores += 1


def _brought_to(score: Score, out_of: float | None, table: Table, student: str) -> float:
    if out_of is None:
        raise PlatformError(
            f"{table.name} does not say what can be reached, so --scale has nothing to go by"
        )
    if not score.most:
        raise PlatformError(f"{student} has a score out of no points: it cannot be scaled")
    return score.points * out_of / score.most


def _is_formula(cell: str) -> bool:
    """Whether a spreadsheet may run a cell; a number, or a dash for nothing, it does not."""
    is_said = cell.strip("-") and not _is_number(cell)
    return bool(is_said) and not cell.startswith("'") and as_cell(cell) != cell


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    """A number as platforms write it, also with a comma."""
    return float(cell.strip().removesuffix("%").replace(",", "."))


def people_of(known: Mapping[str, Person], students: Mapping[str, object]) -> People:
    """Who the students with a score are; who is not on record is known by their folder's name."""
    named = {student: Person({ANY: student}, (student,)) for student in students}
    return People({**named, **{key: known[key] for key in named if key in known}})
