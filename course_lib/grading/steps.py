"""The three steps of `nbgrader autograde` that this course replaces: reading, sanitising, running.

And one before nbgrader records scores, which would leave those of an earlier submission in place.
`nbgrader_config.py` names them. Scores, comments, late penalties and feedback stay nbgrader's.
"""

import atexit
from functools import cache
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Enum, Unicode, default

from . import GradingError
from .deadlines import use_deadlines
from .file_names import note_of
from .judging import fresh_seed, judge
from .late import enter_deadlines
from .library import MARK, SETTINGS
from .reception import Reception
from .rules import ClassRules
from .sandbox import Sandbox, SandboxMissing
from .submission import read_submission, rebuild
from .version import checks_version


class SubmissionExporter(NotebookExporter):
    """Reading: a submitted file becomes the released notebook, whatever the file holds.

    What was read of the file waits in `resources` for `RebuildFromRelease`. A file that could
    not be read comes with its reason, earns zero and stops nobody else.
    """

    course_root = Unicode(help="The folder with releases/; by default the course's own.").tag(
        config=True
    )

    def __init__(self, parent=None, **options):
        super().__init__(parent=parent, **options)
        self.rules = ClassRules(Path(self.course_root), config=self.config)
        self.rules.check()
        self.reception = Reception(parent, self.rules)
        use_deadlines(self.config, Path(self.course_root))

    @default("course_root")
    def _course_root_default(self):
        return self.parent.coursedir.root

    @default("optimistic_validation")
    def _optimistic_validation_default(self):
        return True  # once, after all steps: the notebook is ours

    def from_filename(self, filename, resources=None, **kw):
        """Read a submission for the sanitising steps, or our own file for the later ones."""
        if not any(isinstance(step, RebuildFromRelease) for step in self._preprocessors):
            return super().from_filename(filename, resources, **kw)
        path = self.reception.read_from(Path(filename))
        submission = read_submission(path)
        lesson = resources["nbgrader"]["assignment"]
        release, note = self.rules.release_for(lesson, submission.release)
        note = "; ".join(filter(None, [note, note_of(path, lesson)]))
        if submission.reason:
            self.log.warning("%s could not be read: %s", path, submission.reason)
            note = ""
        resources["submission"] = submission
        resources["release_note"] = note
        return self.from_notebook_node(nbformat.from_dict(release.notebook), resources, **kw)


class RebuildFromRelease(NbGraderPreprocessor):
    """Sanitising: the answers, by grade_id, go into the released notebook; nothing else does."""

    def preprocess(self, nb, resources):
        """The released notebook with the submission's answers in it."""
        rebuilt = rebuild(nb, resources["submission"], resources["release_note"])
        return nbformat.from_dict(rebuilt), resources


class JudgeInSandbox(NbGraderPreprocessor):
    """Running: the answers are observed in the sandbox and judged outside it."""

    sandbox = Unicode(
        "bubblewrap", help='The wall: "bubblewrap", or "none" to grade without one.'
    ).tag(config=True)

    library = Enum(
        SETTINGS,
        MARK,
        help='What becomes of an answer that calls what it is to write: "mark" or "no points".',
    ).tag(config=True)

    def preprocess(self, nb, resources):
        """The notebook with message and score in each check cell's output."""
        wall = _open_sandbox(self.sandbox)
        seed = _seed_of_this_run()
        about = {"seed": seed, "sandbox": wall.how, "library": self.library}
        components = judge(nb, wall.observe, **about)
        about["checks"] = checks_version()
        write_outputs(nb, {"components": components, **about})
        of = resources["nbgrader"]
        root = Path(self.parent.course_root)
        enter_deadlines(root, of["db_url"], of["assignment"], of["student"])
        return nb, resources


class ForgetEarlierScores(NbGraderPreprocessor):
    """What the judge gave an earlier submission for components that this one's release lacks.

    They are as if never judged: whatever a person entered for them stays, and they wait for one.
    """

    def preprocess(self, nb, resources):
        """The notebook as it is; only the gradebook changes."""
        about = resources["nbgrader"]
        asked = {cell.metadata.nbgrader.grade_id for cell in nb.cells if utils.is_grade(cell)}
        with Gradebook(about["db_url"]) as book:
            entry = book.find_submission_notebook(
                about["notebook"], about["assignment"], about["student"]
            )
            for grade in entry.grades:
                if grade.name not in asked:
                    grade.auto_score, grade.needs_manual_grade = None, True
            book.db.commit()
        return nb, resources


def write_outputs(nb, result: dict) -> None:
    """Put each component's message and score where nbgrader looks for them.

    What nbgrader has no place for (diagnoses, and how the judging was done) goes into the
    notebook's metadata, which is part of nbgrader's record like the rest of it.

    Args:
        result: the `components`, in order, and what else there is to say about the judging.
    """
    results = {one["component"]: one for one in result["components"]}
    for cell in nb.cells:
        course = cell.metadata.get("course", {})
        if course.get("role") != "check":
            continue
        one = results[course["component"]]
        cell.execution_count = None
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stdout", text=one["message"] + "\n"),
            # nbgrader takes a number as the score, and everything else as full marks.
            nbformat.v4.new_output("execute_result", data={"text/plain": repr(one["points"])}),
        ]
    nb.metadata["course"]["grading"] |= {
        **result,
        "components": {
            name: {key: one[key] for key in ("points", "diagnosis", "sandbox", "seconds")}
            for name, one in results.items()
        },
    }


@cache
def _open_sandbox(mode: str) -> Sandbox:
    """One sandbox for all that this process grades, closed when it ends."""
    try:
        sandbox = Sandbox(mode)
    except SandboxMissing as missing:
        raise GradingError(str(missing)) from None
    atexit.register(sandbox.close)
    return sandbox


@cache
def _seed_of_this_run() -> int:
    return fresh_seed()
