"""The truth about a class: its gradebook, with its autograded notebooks and its feedback pages."""

import json
import secrets
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import nbformat
from nbconvert.writers import FilesWriter
from nbgrader.api import (
    Assignment,
    Grade,
    Gradebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades
from sqlalchemy import or_
from traitlets.config import Config

from ..files import write_atomically
from .course import nbgrader_settings
from .deadlines import use_deadlines
from .gradebook import find_alembic, register
from .highlighting import bound_highlighting
from .late import follow, is_dated
from .records import read_json
from .steps import ForgetEarlierScores
from .submission import SECRET, TIMESTAMP


class ClassGradebook:
    """An nbgrader course of its own under `out`, written by one writer.

    Nothing that a person entered is changed or removed here.

    Args:
        root: the course root, whose settings of nbgrader count.
        due: due dates and extensions of the course, as `late.due_dates` gives them.
        due_before: what they were when this gradebook last followed them.
    """

    def __init__(self, out: Path, *, root: Path, due: Mapping, due_before: Mapping):
        find_alembic()
        config = nbgrader_settings(root)
        config.CourseDirectory = Config(root=str(out))
        use_deadlines(config, root)
        bound_highlighting(config)
        self.directory = CourseDirectory(config=config)
        self.due, self.due_before = due, due_before
        steps = ForgetEarlierScores, SaveAutoGrades
        self._scores = [step(parent=self.directory) for step in steps]
        self._penalty = AssignLatePenalties(parent=self.directory)
        self._feedback = _Feedback(coursedir=self.directory, config=config)

    def open(self) -> Gradebook:
        """nbgrader's own interface to the gradebook."""
        return Gradebook(self.directory.db_url)

    def register(self, lesson: str, newest: Mapping, *others: Mapping) -> None:
        """Make a lesson, in the releases that the class holds, known to the gradebook."""
        register(self.directory.db_url, lesson, newest, *others)
        # Formgrader lists the lessons that lie here.
        source = Path(self.directory.format_path("source", ".", lesson), f"{lesson}.ipynb")
        _keep(source, json.dumps(newest, indent=1, ensure_ascii=False) + "\n")

    def add_student(self, student: str) -> None:
        """Enter a student who has handed nothing in: nbgrader counts zero."""
        with self.open() as book:
            book.update_or_create_student(student)

    def record(
        self, student: str, lesson: str, notebook, timestamp: datetime | None, secret: str
    ) -> None:
        """Enter a judged notebook: its scores, a late penalty, and the notebook itself.

        Args:
            timestamp: when it was handed in; None where nobody noted it.
            secret: what nbgrader's exchange finds the feedback by; empty where it brought nothing.
        """
        with self.open() as book:
            book.update_or_create_student(student)
            submission = book.update_or_create_submission(lesson, student)
            submission.timestamp = timestamp or submission.timestamp
            follow(submission, self.due, self.due_before)
            book.db.commit()
        self.autograded(student, lesson).unlink(missing_ok=True)
        for step in self._scores:
            step.preprocess(notebook, self._about(student, lesson))
        self._penalise(student, lesson)
        self.note_secret(student, lesson, secret)
        # Taken away first and written last: where it stands, so does everything else about it.
        write_atomically(self.autograded(student, lesson), nbformat.writes(notebook) + "\n")

    def note_time(self, student: str, lesson: str, timestamp: datetime) -> None:
        """Enter when a submission on record was handed in."""
        with self.open() as book:
            book.find_submission(lesson, student).timestamp = timestamp
            book.db.commit()

    def note_secret(self, student: str, lesson: str, secret: str) -> None:
        """Keep what nbgrader's exchange finds a submission's feedback by, where nbgrader does.

        `nbgrader release_feedback` ends at the first submission that has none: one that came by
        another way gets one that nobody knows.
        """
        judged, page = self.autograded(student, lesson), self.feedback(student, lesson)
        for place in [judged, page] if page.exists() else [judged]:
            path = place.with_name(SECRET)
            known = path.read_text(encoding="utf-8") if path.exists() else ""
            wanted = secret or known or secrets.token_hex(64)
            if wanted != known:
                write_atomically(path, wanted)

    def write_times(self) -> None:
        """Write down when each submission came, where nbgrader's programs look for it.

        Formgrader takes a submission whose time is not in `submitted/` for one that waits for its
        grade, and `nbgrader release_feedback` reads the time beside the page.
        """
        for (student, lesson), when in self.on_record().items():
            text = f"{when.isoformat(' ')} UTC\n" if when else ""
            own = Path(self.directory.format_path("submitted", student, lesson), TIMESTAMP)
            if when:
                _keep(own, text)
            else:
                own.parent.mkdir(parents=True, exist_ok=True)
                own.unlink(missing_ok=True)
            page = self.feedback(student, lesson)
            if page.exists():
                _keep(page.with_name(TIMESTAMP), text)

    def follow_course(self) -> list[str]:
        """Take over the course's due dates and extensions, where nobody entered others here.

        Returns:
            What differs from the course because somebody did.
        """
        with self.open() as book:
            differs = []
            for submission in self._submissions(book):
                differs += follow(submission, self.due, self.due_before)
            book.db.commit()
        return differs

    def settle(self) -> None:
        """Bring late penalties up to the marks, dates and extensions that people entered since.

        And what is worth nothing and was not answered waits for nobody in formgrader.
        """
        with self.open() as book:
            for grade in book.db.query(Grade).filter(Grade.auto_score.is_(None)):
                if not grade.max_score and grade.manual_score is None:
                    grade.auto_score, grade.needs_manual_grade = 0.0, False
            book.db.commit()
            late = [
                (each.student_id, each.assignment.name)
                for each in self._submissions(book)
                if is_dated(each) or each.late_submission_penalty
            ]
        for student, lesson in late:
            self._penalise(student, lesson)

    def _penalise(self, student: str, lesson: str) -> None:
        """nbgrader's own step, and no penalty where it has no two dates to compare."""
        with self.open() as book:
            submission = book.find_submission(lesson, student)
            if not is_dated(submission):
                for notebook in submission.notebooks:
                    notebook.late_submission_penalty = None
                book.db.commit()
                return
        self._penalty.preprocess(nbformat.v4.new_notebook(), self._about(student, lesson))

    def on_record(self) -> dict[tuple[str, str], datetime | None]:
        """Who has a submission of which lesson on record, and when it was handed in.

        A submission is on record when something of it was judged, or given by a person: nbgrader
        knows it before, where somebody granted an extension, or where a run was cut short.
        """
        scores = Grade.auto_score, Grade.manual_score, Grade.extra_credit
        about = SubmittedAssignment.student_id, Assignment.name, SubmittedAssignment.timestamp
        with self.open() as book:
            query = book.db.query(*about)
            query = query.join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            is_own = SubmittedNotebook.assignment_id == SubmittedAssignment.id
            query = query.join(SubmittedNotebook, is_own)
            query = query.join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            query = query.filter(or_(*(score.is_not(None) for score in scores)))
            return {(student, lesson): when for student, lesson, when in query.distinct()}

    def lessons(self) -> list[str]:
        """The lessons that the gradebook knows, in order."""
        with self.open() as book:
            return sorted(assignment.name for assignment in book.assignments)

    def write_feedback(self, student: str, lesson: str) -> None:
        """Write a submission's feedback page, as the gradebook has it now."""
        judged = self.autograded(student, lesson)
        self._feedback.write(self._about(student, lesson), judged)
        secret = judged.with_name(SECRET)
        self.note_secret(student, lesson, secret.read_text("utf-8") if secret.exists() else "")

    def judged(self, student: str, lesson: str) -> dict:
        """What the judge said of the submission on record, and of what; empty if there is none."""
        notebook = read_json(self.autograded(student, lesson))
        return notebook.get("metadata", {}).get("course", {}).get("grading", {})

    def autograded(self, student: str, lesson: str) -> Path:
        """Where a submission's judged notebook lies."""
        folder = self.directory.format_path("autograded", student, lesson)
        return Path(folder, f"{lesson}.ipynb")

    def feedback(self, student: str, lesson: str) -> Path:
        """Where a submission's feedback page lies."""
        return Path(self.directory.format_path("feedback", student, lesson), f"{lesson}.html")

    def _submissions(self, book: Gradebook) -> list:
        return [each for assignment in book.assignments for each in assignment.submissions]

    def _about(self, student: str, lesson: str) -> dict:
        about = {"student": student, "assignment": lesson, "notebook": lesson}
        return {"nbgrader": {**about, "db_url": self.directory.db_url}}


def _keep(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


class _Feedback(GenerateFeedback):
    """Writes the page of one submission, where nbgrader looks for files by pattern.

    So a student may be called anything, `[a]` and `*` included, and templates load once.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.writer = FilesWriter(parent=self, config=self.config)
        self.exporter = self.exporter_class(parent=self, config=self.config)
        for step in self.preprocessors:
            self.exporter.register_preprocessor(step)

    def write(self, resources: dict, notebook: Path) -> None:
        """The page of a judged notebook."""
        about = resources["nbgrader"]
        shutil.rmtree(self._format_dest(about["assignment"], about["student"]), ignore_errors=True)
        names = {"unique_key": notebook.stem, "output_files_dir": f"{notebook.stem}_files"}
        page, resources = self.exporter.from_filename(str(notebook), {**names, **resources})
        self.write_single_notebook(page, resources)
        self.set_permissions(about["assignment"], about["student"])
