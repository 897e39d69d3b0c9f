"""What nbgrader needs of us: its steps replaced, and each lesson known to a gradebook."""

import json
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Comment, Grade, Gradebook
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from ..lessons.exercises import prices
from .highlighting import bound_highlighting

# nbgrader looks at a submission's assignment before it adds the submission to its session.
warnings.filterwarnings("ignore", "Object of type <Submitted", SAWarning)


def find_alembic() -> None:
    """Let nbgrader find `alembic`, which it runs by name, when no environment is activated."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = here + os.pathsep + path


def replace_steps(config: Config) -> None:
    """Have nbgrader read, sanitise, run and record submissions in this course's way, and show them
    in pages whose making is bounded.
    """
    config.Autograde.exporter_class = "course_lib.grading.steps.SubmissionExporter"
    config.Autograde.sanitize_preprocessors = ["course_lib.grading.steps.RebuildFromRelease"]
    config.Autograde.autograde_preprocessors = [
        "course_lib.grading.steps.JudgeInSandbox",
        "course_lib.grading.steps.ForgetEarlierScores",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
    ]
    bound_highlighting(config)


def register(db_url: str, lesson: str, newest: Mapping, *others: Mapping) -> None:
    """Make a lesson known to a gradebook: its cells, and what each of them is worth.

    Several releases of a lesson may stand in one gradebook, which has one maximum for a cell: that
    of the newest release. Cells are added and never taken away. Where a cell was worth something
    else, what was judged is scaled; a mark by hand stays as it is, and waits to be looked at.
    """
    find_alembic()
    with Gradebook(db_url) as book:
        book.update_or_create_assignment(lesson)
        kernel = json.dumps(newest["metadata"].get("kernelspec", {}))
        entry = book.update_or_create_notebook(lesson, lesson, kernelspec=kernel)
        known = {cell.name: cell.max_score for cell in entry.grade_cells}
        for notebook in (*others, newest):
            for cell in notebook["cells"]:
                _register_cell(book, lesson, nbformat.from_dict(cell), known)
        _complete_old_submissions(book, lesson)
        worth = prices(newest)
        for cell in book.find_notebook(lesson, lesson).grade_cells:
            _price(cell, float(worth.get(cell.name, 0.0)))
        book.db.commit()


def _register_cell(book: Gradebook, lesson: str, cell, known: Mapping[str, float]) -> None:
    if "nbgrader" not in cell.metadata:
        return
    name, about = cell.metadata.nbgrader.grade_id, {"cell_type": cell.cell_type}
    if utils.is_grade(cell):
        points = known.get(name, float(cell.metadata.nbgrader.points))
        book.update_or_create_grade_cell(name, lesson, lesson, max_score=points, **about)
    if utils.is_solution(cell):
        book.update_or_create_solution_cell(name, lesson, lesson)
    checksum = cell.metadata.nbgrader.get("checksum")
    about |= {"source": cell.source, "checksum": checksum, "locked": utils.is_locked(cell)}
    book.update_or_create_source_cell(name, lesson, lesson, **about)


def _price(cell, worth: float) -> None:
    """Have a cell be worth this much; what the judge gave keeps its share of it."""
    if cell.max_score == worth:
        return
    for grade in cell.grades:
        if grade.auto_score is not None:
            grade.auto_score = grade.auto_score * worth / cell.max_score if cell.max_score else None
        grade.needs_manual_grade |= grade.manual_score is not None
    cell.max_score = worth


def _complete_old_submissions(book: Gradebook, lesson: str) -> None:
    """Give submissions from before a cell was added their row for it."""
    entry = book.find_notebook(lesson, lesson)
    for submitted in entry.submissions:
        graded = {grade.cell_id for grade in submitted.grades}
        told = {comment.cell_id for comment in submitted.comments}
        for cell in entry.grade_cells:
            if cell.id not in graded:
                book.db.add(Grade(cell_id=cell.id, notebook=submitted))
        for cell in entry.solution_cells:
            if cell.id not in told:
                book.db.add(Comment(cell_id=cell.id, notebook=submitted))
    book.db.commit()
