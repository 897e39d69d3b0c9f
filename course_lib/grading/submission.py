"""What counts of a submitted notebook: the text of the cells that define the answers, nothing else.

Which cells these are is one rule for desk and class (`lessons/answers.py`).

Where a lesson is about the learner's whole package, the package's modules count too. A
`timestamp.txt` beside it is read as well; whether it counts is the teacher's to say (`rules`).

The file was written by someone who wants points. It must be a plain file of its own, and it is
read as bounded JSON, never as a notebook; of its cells' metadata only nbgrader's id is looked at,
and its outputs are not even parsed.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..lessons.answers import MAX_CHARACTERS, Answers, NoAnswer, Typed
from ..lessons.exercises import prices, read_package_checks
from ..lessons.imports import absent_in_class
from ..lessons.package_text import PACKAGE, PackageText, read_package
from ..lessons.saved_cells import saved_cells
from ..lessons.without_outputs import TooManyParts, without_outputs
from ..own_files import Unreadable, bytes_of

MAX_FILE_BYTES = 200 * 2**20
MAX_READ_BYTES = 20 * 2**20  # of a notebook without its outputs
TIMESTAMP = "timestamp.txt"
LOST = "the cells have lost their ids, so each answer was found by its name"
SECRET = "submission_secret.txt"  # what nbgrader's exchange finds a student's feedback by
MAX_BESIDE_BYTES = 200


@dataclass(frozen=True)
class Submission:
    """A submitted file, as far as it could be read."""

    cells: tuple[Typed, ...] = ()  # in order
    release: str = ""  # the release the file says it began as
    reason: str = ""  # why nothing could be read; empty when the file is a notebook
    package: PackageText = field(
        default_factory=PackageText
    )  # what lies beside the notebook, for the capstone
    timestamp: str = ""  # what a timestamp.txt beside it says
    secret: str = ""  # what nbgrader's exchange has put beside it


def read_submission(path: Path) -> Submission:
    """The cells of the notebook at `path`, as text.

    What is wrong with the file is a reason, not an error.

    Args:
        path: `SUBMITTED/STUDENT/LESSON/LESSON.ipynb`; below SUBMITTED no link is followed.

    Raises:
        OSError: the machine failed, whatever lies there; `MemoryError` says so too.
    """
    top = path.parents[2]
    near = {
        "package": read_package(path.parent / PACKAGE, top=top),
        "timestamp": beside(path, TIMESTAMP),
        "secret": beside(path, SECRET),
    }
    try:
        content = _without_outputs(bytes_of(path, MAX_FILE_BYTES, top=top))
        tree = _as_json(content)
        cells = saved_cells(tree)
    except Unreadable as reason:
        return Submission(reason=str(reason), **near)
    metadata = tree.get("metadata")
    course = metadata.get("course") if isinstance(metadata, dict) else None
    release = course.get("release") if isinstance(course, dict) else None
    return Submission(tuple(cells), release if isinstance(release, str) else "", **near)


def rebuild(pristine: Mapping, submission: Submission, note: str = "") -> dict:
    """The released notebook with the submission's answers in its solution cells.

    `metadata["course"]["grading"]` says what there was to say: why the file could not be read,
    a note about the release, and for each component a problem (it earns zero) or a note.
    """
    notebook = copy.deepcopy(pristine)
    lesson = pristine["metadata"]["course"]["lesson"]
    answers = Answers(submission.cells, pristine)
    problems, notes = {}, {}
    for cell in notebook["cells"]:
        course = cell["metadata"].get("course", {})
        if course.get("role") != "answer":
            continue
        component = course["component"]
        if submission.reason:
            problems[component] = f"the notebook could not be read: {submission.reason}"
            continue
        try:
            answer = answers.of(component)
        except NoAnswer as reason:
            problems[component] = str(reason)
            continue
        if answer.is_untouched:
            problems[component] = "not answered yet"
        elif absent := absent_in_class(answer.source, lesson, component):
            problems[component] = absent
        if answer.note:
            notes[component] = answer.note
        cell["source"] = answer.source
    if submission.cells and all(cell.grade_id is None for cell in submission.cells):
        note = "; ".join(filter(None, [note, LOST]))
    grading = {"reason": submission.reason, "note": note, "problems": problems, "notes": notes}
    if read_package_checks(pristine):
        grading["package"] = asdict(submission.package)
    grading["content"] = _content_hash(notebook, grading)
    notebook["metadata"]["course"]["grading"] = grading
    return notebook


def _shown(submission: Submission, component: str, stub: str) -> str:
    """What a student sees in place of an answer that was not found: what their cell says."""
    theirs = [c.typed for c in submission.cells if c.is_code and c.grade_id == component]
    return theirs[-1][:MAX_CHARACTERS] if theirs else stub


def _content_hash(notebook: Mapping, grading: Mapping) -> str:
    """One hash of all that the score depends on: the release, its points, and the answers in it."""
    release = notebook["metadata"]["course"]["release"]
    sources = [cell["source"] for cell in notebook["cells"]]
    counted = [release, prices(notebook), grading, sources]
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def beside(path: Path, name: str) -> str:
    """What a short file beside the notebook at `path` says; nothing where there is none."""
    try:
        content = bytes_of(path.with_name(name), MAX_BESIDE_BYTES, top=path.parents[2])
        return content.decode("utf-8", "replace").strip()
    except Unreadable:
        return ""


def _as_json(content: bytes) -> object:
    if not content.strip():
        raise Unreadable("the file is empty")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON ({error.msg} at line {error.lineno})") from None
    except (RecursionError, ValueError):
        raise Unreadable("it is nested too deeply, or holds a number too long to read") from None


def _without_outputs(content: bytes) -> bytes:
    try:
        content = without_outputs(content)
    except TooManyParts:
        raise Unreadable("it holds more parts than a notebook does") from None
    if len(content) > MAX_READ_BYTES:
        raise Unreadable(f"it is larger than {MAX_READ_BYTES // 2**20} MB, outputs not counted")
    return content
