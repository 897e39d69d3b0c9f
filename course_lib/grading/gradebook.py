"""nbgrader's record of a class: its gradebook, its autograded notebooks, its feedback pages."""

import contextlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from nbconvert.writers import FilesWriter
from nbgrader import utils
from nbgrader.api import Comment, Grade, Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from .records import read_json

# nbgrader looks at a submission's assignment before it adds the submission to its session.
warnings.filterwarnings("ignore", "Object of type <Submitted", SAWarning)


def find_alembic() -> None:
    """Let nbgrader find `alembic`, which it runs by name, when no environment is activated."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = here + os.pathsep + path


def replace_steps(config: Config) -> None:
    """Have `nbgrader autograde` read, sanitise and run submissions in this course's way."""
    config.Autograde.exporter_class = "course_lib.grading.steps.SubmissionExporter"
    config.Autograde.sanitize_preprocessors = ["course_lib.grading.steps.RebuildFromRelease"]
    config.Autograde.autograde_preprocessors = [
        "course_lib.grading.steps.JudgeInSandbox",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
    ]


def register(db_url: str, lesson: str, notebooks: Iterable[Mapping]) -> None:
    """Make a lesson known to a gradebook: its cells, and what each of them is worth.

    Several releases of a lesson may stand in one gradebook, which has one maximum for a cell: the
    largest. Cells are added and never taken away, so scores that were given stay.
    """
    find_alembic()
    with Gradebook(db_url) as book:
        book.update_or_create_assignment(lesson)
        for notebook in notebooks:
            kernel = json.dumps(notebook["metadata"].get("kernelspec", {}))
            entry = book.update_or_create_notebook(lesson, lesson, kernelspec=kernel)
            worth = {cell.name: cell.max_score for cell in entry.grade_cells}
            for cell in notebook["cells"]:
                _register_cell(book, lesson, nbformat.from_dict(cell), worth)
        _complete_old_submissions(book, lesson)


def _register_cell(book: Gradebook, lesson: str, cell, worth: Mapping[str, float]) -> None:
    if "nbgrader" not in cell.metadata:
        return
    name, about = cell.metadata.nbgrader.grade_id, {"cell_type": cell.cell_type}
    if utils.is_grade(cell):
        points = max(float(cell.metadata.nbgrader.points), worth.get(name, 0.0))
        book.update_or_create_grade_cell(name, lesson, lesson, max_score=points, **about)
    if utils.is_solution(cell):
        book.update_or_create_solution_cell(name, lesson, lesson)
    checksum = cell.metadata.nbgrader.get("checksum")
    about |= {"source": cell.source, "checksum": checksum, "locked": utils.is_locked(cell)}
    book.update_or_create_source_cell(name, lesson, lesson, **about)


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


class ClassGradebook:
    """An nbgrader course of its own under `out`, written by one writer.

    Args:
        root: the course root, whose releases count.
        results: the folder of results that the submissions' scores are taken from.
    """

    def __init__(self, out: Path, *, root: Path, results: Path):
        find_alembic()
        config = Config()
        config.CourseDirectory.root = str(out)
        replace_steps(config)
        config.SubmissionExporter.course_root = str(root)
        config.JudgeInSandbox.results = str(results)
        self.directory = CourseDirectory(config=config)
        self._autograde = _ClassAutograde(coursedir=self.directory, config=config)
        self._feedback = _ClassFeedback(coursedir=self.directory, config=config)

    def register(self, lesson: str, notebooks: Iterable[Mapping]) -> None:
        """Make a lesson, in the releases that the class holds, known to the gradebook."""
        register(self.directory.db_url, lesson, notebooks)

    def record(self, student: str, lesson: str, submitted: Path) -> None:
        """Write a submission's scores, its autograded notebook and its feedback page."""
        self._autograde.convert(student, lesson, submitted)
        name = f"{lesson}.ipynb"
        autograded = Path(self.directory.format_path("autograded", student, lesson), name)
        self._feedback.convert(student, lesson, autograded)

    def record_missing(self, student: str, lesson: str) -> None:
        """Enter a student who has handed nothing in, or nothing any more: nbgrader counts zero."""
        with Gradebook(self.directory.db_url) as book:
            book.update_or_create_student(student)
            with contextlib.suppress(MissingEntry):
                book.remove_submission(lesson, student)
        for step in ("autograded", "feedback"):
            shutil.rmtree(self.directory.format_path(step, student, lesson), ignore_errors=True)

    def holds(self, student: str, lesson: str, result: Mapping) -> bool:
        """Whether this very result is recorded already."""
        name = self.directory.format_path("autograded", student, lesson)
        notebook = read_json(Path(name, f"{lesson}.ipynb"))
        grading = notebook.get("metadata", {}).get("course", {}).get("grading", {})
        page = Path(self.directory.format_path("feedback", student, lesson), f"{lesson}.html")
        same = all(grading.get(key) == result[key] for key in ("content", "seed"))
        return same and "components" in grading and page.exists()


class _OneAtATime:
    """Converts the file it is given, where nbgrader looks for files by pattern.

    So a student may be called anything, `[a]` and `*` included, and templates load once.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.writer = FilesWriter(parent=self, config=self.config)
        self.exporter = self.exporter_class(parent=self, config=self.config)
        for step in self.preprocessors:
            self.exporter.register_preprocessor(step)

    def convert(self, student: str, lesson: str, notebook: Path) -> None:
        self.about = {"student": student, "assignment": lesson, "notebook": lesson}
        self.notebooks = [str(notebook)]
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._format_dest(lesson, student))
        self.init_assignment(lesson, student)
        self.convert_single_notebook(str(notebook))
        self.set_permissions(lesson, student)

    def init_single_notebook_resources(self, notebook_filename: str) -> dict:
        lesson = self.about["notebook"]
        about = {**self.about, "db_url": self.coursedir.db_url}
        return {"unique_key": lesson, "output_files_dir": f"{lesson}_files", "nbgrader": about}

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Nothing to prepare: files beside the notebook are not copied."""


class _ClassAutograde(_OneAtATime, Autograde):
    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        with Gradebook(self.coursedir.db_url) as book:
            book.update_or_create_student(student_id)
            book.update_or_create_submission(assignment_id, student_id)


class _ClassFeedback(_OneAtATime, GenerateFeedback):
    pass
