"""What `nbgrader autograde` is given in place of what was handed in.

nbgrader copies a student's whole folder into the teacher's, through links and from devices, takes
their `timestamp.txt` for the truth, and ends at a name that it cannot match. So it never sees such
a folder: for each submission it gets a stand-in, a folder of ours with an empty notebook and, where
one counts, a time. The submission is read where it lies, by `submission`, when its turn comes.
"""

import re
import shutil
import tempfile
import weakref
from fnmatch import fnmatchcase
from pathlib import Path

from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from . import GradingError
from .classroom import students_of
from .file_names import notebook_in
from .layout import astray, is_there
from .rules import ClassRules
from .submission import SECRET, TIMESTAMP, beside

LAYOUT = CourseDirectory.directory_structure.default_value


class Reception:
    """The stand-ins of one run of `nbgrader autograde`; `read_from` says what each stands for.

    Args:
        converter: nbgrader's, which has found its submissions and not yet touched one.
    """

    def __init__(self, converter: Autograde, rules: ClassRules):
        directory = converter.coursedir
        if directory.directory_structure != LAYOUT:
            raise GradingError(
                f"CourseDirectory.directory_structure must be {LAYOUT!r}, "
                f"got {directory.directory_structure!r}"
            )
        self._converter, self._rules = converter, rules
        self._originals: dict[Path, Path] = {}
        lesson, stands = directory.assignment_id, Path(tempfile.mkdtemp(prefix="course-"))
        weakref.finalize(self, shutil.rmtree, stands, ignore_errors=True)  # at exit at the latest
        submitted = Path(directory.root, directory.submitted_directory).resolve()
        for student, folder in students_of(submitted).items():
            if not fnmatchcase(student, directory.student_id):
                continue
            if is_there(folder, lesson):
                self._receive(student, lesson, notebook_in(folder / lesson, lesson), stands)
            elif reason := astray(folder, lesson):
                converter.log.error("%s %s: not graded: %s", student, lesson, reason)
        converter.assignments = {str(path.parent): [str(path)] for path in self._originals}
        converter.coursedir = _beginning_with(directory, stands)

    def read_from(self, stand_in: Path) -> Path:
        """Where the submission lies that a notebook stands in for."""
        return self._originals[stand_in]

    def _receive(self, student: str, lesson: str, path: Path, stands: Path) -> None:
        stand_in = stands / student / lesson / f"{lesson}.ipynb"
        stand_in.parent.mkdir(parents=True)
        stand_in.touch()
        self._originals[stand_in] = path
        if secret := beside(path, SECRET):
            (stand_in.parent / SECRET).write_text(secret, encoding="utf-8")
        try:
            when = self._rules.time_of(student, lesson, beside(path, TIMESTAMP))
        except GradingError as error:
            self._converter.log.error("%s %s: %s", student, lesson, error)
            return
        if when is not None:
            (stand_in.parent / TIMESTAMP).write_text(f"{when.isoformat()} UTC\n", encoding="utf-8")


class _WithStandIns(CourseDirectory):
    """A course whose submissions lie anywhere: nbgrader takes the step's folder for a pattern."""

    def format_path(self, nbgrader_step, student_id, assignment_id, escape=False):
        """As nbgrader's own, with a path that may hold any character."""
        step = re.escape(nbgrader_step) if escape else nbgrader_step
        return super().format_path(step, student_id, assignment_id, escape)


def _beginning_with(directory: CourseDirectory, submitted: Path) -> CourseDirectory:
    """The same course, whose submissions lie in another folder."""
    same = {name: getattr(directory, name) for name in directory.trait_names(config=True)}
    return _WithStandIns(parent=directory.parent, **{**same, "submitted_directory": str(submitted)})
