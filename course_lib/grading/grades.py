"""What is derived from nbgrader's gradebook: `grades_long.csv`, and feedback that is out of date.

The points of a submission's rows add up to its score in the gradebook, late penalty included, and
the column `basis` says how each number came about.
"""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    SubmittedAssignment,
    SubmittedNotebook,
)

from ..lessons.exercises import lesson_names, prices
from .class_gradebook import ClassGradebook
from .deadlines import read_deadlines
from .failures import in_words
from .layout import astray, is_there
from .records import (
    COLUMNS,
    EXCUSED,
    EXTRA,
    JUDGED,
    LATE,
    MANUAL,
    MISSING,
    NOT_ASKED,
    read_grades,
    write_grades,
)
from .releases import choose
from .results import NOT_RUN, printable

NOTHING = "nothing was handed in"
PENALTY = "late penalty"  # the component of a row that takes points away
OF_CHECK = "check-"  # begins the grade_id of a check; its component follows


@dataclass(frozen=True)
class Derived:
    """What there is to say about table and feedback, once they are written."""

    to_decide: list[str]  # marks of people that the judge would have otherwise, or that are missing
    problems: list[str]  # pages that could not be written


def derive(
    book: ClassGradebook,
    out: Path,
    folders: Mapping[str, Path],
    root: Path,
    *,
    fresh: Iterable[tuple[str, str]],
) -> Derived:
    """Bring table and feedback up to what the gradebook says, for everybody who is on record.

    Args:
        folders: where students hand in now.
        fresh: whose feedback is new already, by student and lesson.

    """
    book.settle()
    excused = read_deadlines(root).excused
    on_record = book.on_record()
    table, rows = out / "grades_long.csv", []
    for lesson in book.lessons():

        def why_missing(student, lesson=lesson):
            return _why_missing(folders.get(student), lesson)

        have = {student for student, their in on_record if their == lesson}
        rows += _rows_of(book, lesson, have, _order(lesson, root), why_missing, excused)
    rows.sort(key=lambda row: row["student"])
    before, now = _by_page(_rows_before(table)), _by_page(rows)
    problems = []
    for student, lesson in sorted(set(on_record) - set(fresh)):
        is_new = before.get((student, lesson)) != now.get((student, lesson))
        is_new = is_new or not book.feedback(student, lesson).exists()
        if is_new and book.autograded(student, lesson).exists():
            try:
                book.write_feedback(student, lesson)
            except Exception as error:  # a page that fails is no reason to have no table
                text = f"no feedback could be written ({in_words(error)})"
                problems.append(f"{student} {lesson}: {text}")
    book.write_times()
    write_grades(table, rows)  # last: where it stands, the feedback agrees with it
    to_decide = [
        f"{row['student']} {row['lesson']} {row['component']}: {row['to_decide']}"
        for row in rows
        if row["to_decide"]
    ]
    return Derived(to_decide, problems)


def _order(lesson: str, root: Path) -> list[str]:
    """The components of a lesson, as its newest release asks for them."""
    if lesson not in lesson_names():
        return []
    newest, _ = choose(lesson, "", root)
    return [name.removeprefix(OF_CHECK) for name in prices(newest.notebook)]


def _why_missing(folder: Path | None, lesson: str) -> str:
    """Why a student has no submission on record; empty where a file waits for its grade."""
    waits = folder is not None and (is_there(folder, lesson) or astray(folder, lesson))
    return "" if waits else NOTHING


def _rows_before(table: Path) -> list[dict]:
    """The rows that an earlier run wrote; none where they cannot be read any more."""
    try:
        return read_grades(table)
    except (OSError, ValueError, TypeError, AttributeError, csv.Error):
        return []


def _by_page(rows: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """What stands in the table, by student and lesson."""
    pages: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        cells = {column: row.get(column) for column in COLUMNS}
        pages.setdefault((row.get("student"), row.get("lesson")), []).append(cells)
    return pages


def _rows_of(
    book: ClassGradebook,
    lesson: str,
    have: Collection[str],
    order: Sequence[str],
    why_missing: Callable[[str], str],
    excused: Collection[tuple[str, str]],
) -> Iterator[dict]:
    """A lesson's rows, for everybody whom the gradebook knows.

    Args:
        have: who has a submission of it on record.
        order: the components, as the newest release asks for them.
        why_missing: why a student has no submission on record; empty if one waits to be judged.
        excused: of which lesson who has no zero for handing nothing in.
    """
    with book.open() as gradebook:
        students = sorted(student.id for student in gradebook.students)
        grades, comments = _grades(gradebook, lesson), _comments(gradebook, lesson)
        penalties, worth = _penalties(gradebook, lesson), _worth(gradebook, lesson)
    place = {component: number for number, component in enumerate(order)}

    def in_order(component: str) -> tuple:
        return place.get(component, len(place)), component

    for student in students:
        if student not in have:
            reason = why_missing(student)
            for component in sorted(worth, key=in_order) if reason else ():
                if worth[component]:
                    row = _missing(student, lesson, component, worth[component], reason)
                    yield row | _EXCUSED if (lesson, student) in excused else row
            continue
        if not (book.autograded(student, lesson).exists() or why_missing(student)):
            continue  # recording it was cut short: it waits to be judged again
        about = book.judged(student, lesson)
        judged, notes = about.get("components", {}), about.get("notes", {})
        own = grades.get(student, {})
        for component in sorted(own, key=in_order):
            grade = own[component]
            if grade.max_score or grade.score or component in judged:
                comment = comments.get((student, component)) or ""
                row = _row(grade, judged.get(component), comment)
                told = filter(None, (about.get("note"), notes.get(component)))
                names = {"student": student, "lesson": lesson, "component": component}
                yield {**names, **row, "note": printable("; ".join(told))}
        penalty, seconds_late = penalties[student]
        penalty = min(penalty, sum(grade.score for grade in own.values()))
        if penalty > 0:
            yield _late(student, lesson, penalty, seconds_late)


def _row(grade, judged: dict | None, comment: str) -> dict:
    """One grade of the gradebook."""
    is_judged = grade.auto_score is not None
    basis = MANUAL if grade.manual_score is not None else JUDGED if is_judged else NOT_ASKED
    if judged is None:
        reason = "" if is_judged else "the release that was handed in does not ask for it"
        judged = {"diagnosis": reason, "sandbox": NOT_RUN, "seconds": 0.0}
    return {
        "points": _as_written(grade.score),
        "max_points": _as_written(grade.max_score),
        **{key: judged[key] for key in ("diagnosis", "sandbox", "seconds")},
        "basis": basis + (EXTRA if grade.extra_credit else ""),
        "comment": comment,
        "to_decide": _to_decide(grade),
    }


def _to_decide(grade) -> str:
    """What a person may want to look at in formgrader; it is not in the table."""
    if not grade.needs_manual_grade:
        return ""
    if grade.manual_score is None:
        if not grade.max_score:
            return ""
        return f"not asked for in the release that was handed in: 0 of {grade.max_score:g}"
    now = "not asked for"
    if grade.auto_score is not None:
        now = f"judged {grade.auto_score:g} of {grade.max_score:g}"
    return f"{grade.manual_score:g} by hand stays; since then it was {now}"


def _missing(student: str, lesson: str, component: str, worth: float, reason: str) -> dict:
    numbers = {"points": 0.0, "max_points": _as_written(worth), "seconds": 0.0}
    about = {"diagnosis": reason, "sandbox": NOT_RUN, "basis": MISSING, "comment": "", "note": ""}
    names = {"student": student, "lesson": lesson, "component": component}
    return names | numbers | about | {"to_decide": ""}


# Who is excused and handed nothing in: no points, of none.
_EXCUSED = {"max_points": 0.0, "basis": EXCUSED, "diagnosis": ""}


def _late(student: str, lesson: str, penalty: float, seconds: float) -> dict:
    reason = f"handed in {timedelta(seconds=int(seconds))} late"
    row = _missing(student, lesson, PENALTY, 0.0, reason)
    return row | {"points": -_as_written(penalty), "basis": LATE}


def _as_written(number: float) -> float:
    """The number as the table holds it, so that what was read can be compared."""
    return float(f"{number:.10g}")


# ------------------------------------------------ one query each, for all students of a lesson


def _grades(gradebook: Gradebook, lesson: str) -> dict[str, dict]:
    """The grades of a lesson by student and component."""
    columns = (Grade.score, Grade.auto_score, Grade.manual_score, Grade.extra_credit)
    about = (SubmittedAssignment.student_id, GradeCell.name, GradeCell.max_score)
    query = gradebook.db.query(*about, *columns, Grade.needs_manual_grade)
    query = query.join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
    query = query.join(Grade, Grade.notebook_id == SubmittedNotebook.id)
    query = query.join(GradeCell, GradeCell.id == Grade.cell_id)
    found: dict[str, dict] = {}
    for grade in _of_lesson(query, lesson):
        found.setdefault(grade.student_id, {})[grade.name.removeprefix(OF_CHECK)] = grade
    return found


def _comments(gradebook: Gradebook, lesson: str) -> dict[tuple[str, str], str]:
    """What people wrote, by student and component."""
    columns = SubmittedAssignment.student_id, BaseCell.name, Comment.manual_comment
    query = gradebook.db.query(*columns)
    query = query.join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
    query = query.join(Comment, Comment.notebook_id == SubmittedNotebook.id)
    query = query.join(BaseCell, BaseCell.id == Comment.cell_id)
    return {
        (student, component): comment for student, component, comment in _of_lesson(query, lesson)
    }


def _of_lesson(query, lesson: str):
    query = query.join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
    return query.filter(Assignment.name == lesson)


def _penalties(gradebook: Gradebook, lesson: str) -> dict[str, tuple[float, float]]:
    """For each student with a submission on record its penalty, and how many seconds it is late."""
    return {
        submission.student_id: (
            sum(notebook.late_submission_penalty or 0.0 for notebook in submission.notebooks),
            submission.total_seconds_late if submission.assignment.duedate else 0.0,
        )
        for submission in gradebook.assignment_submissions(lesson)
    }


def _worth(gradebook: Gradebook, lesson: str) -> dict[str, float]:
    """What each component is worth."""
    cells = gradebook.find_notebook(lesson, lesson).grade_cells
    return {cell.name.removeprefix(OF_CHECK): cell.max_score for cell in cells}
