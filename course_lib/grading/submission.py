"""What counts of a submitted notebook: the text of its solution cells, and nothing else.

Where a lesson is about the learner's whole package, the package's modules count too. A
`timestamp.txt` beside it is read as well; whether it counts is the teacher's to say (`rules`).

The file was written by someone who wants points. It must be a plain file of its own, and it is
read as bounded JSON, never as a notebook; its cells' metadata, its check cells, its outputs and its
other cells are not looked at.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..lessons.exercises import prices, read_package_checks
from ..lessons.package_text import PACKAGE, PackageText, read_package
from ..own_files import Unreadable, bytes_of

MAX_FILE_BYTES = 20 * 2**20
MAX_ANSWER_CHARACTERS = 100_000
MAX_CELLS = 10_000
TIMESTAMP = "timestamp.txt"
MAX_TIMESTAMP_BYTES = 100


@dataclass(frozen=True)
class Submission:
    """A submitted file, as far as it could be read."""

    sources: dict[str, list[str]] = field(default_factory=dict)  # code cells, by grade_id
    release: str = ""  # the release the file says it began as
    reason: str = ""  # why nothing could be read; empty when the file is a notebook
    package: PackageText = field(
        default_factory=PackageText
    )  # what lies beside the notebook, for the capstone
    timestamp: str = ""  # what a timestamp.txt beside it says


def read_submission(path: Path) -> Submission:
    """The code cells of the notebook at `path` that carry a grade_id.

    What is wrong with the file is a reason, not an error.

    Args:
        path: `SUBMITTED/STUDENT/LESSON/LESSON.ipynb`; below SUBMITTED no link is followed.

    Raises:
        OSError: the machine failed, whatever lies there; `MemoryError` says so too.
    """
    top = path.parents[2]
    beside = {
        "package": read_package(path.parent / PACKAGE, top=top),
        "timestamp": timestamp_beside(path),
    }
    try:
        notebook = _as_notebook(_as_json(bytes_of(path, MAX_FILE_BYTES, top=top)))
    except Unreadable as reason:
        return Submission(reason=str(reason), **beside)
    metadata = notebook.get("metadata")
    course = metadata.get("course") if isinstance(metadata, dict) else None
    release = course.get("release") if isinstance(course, dict) else None
    sources: dict[str, list[str]] = {}
    for cell in notebook["cells"][:MAX_CELLS]:
        grade_id, source = _solution(cell)
        if grade_id is not None:
            sources.setdefault(grade_id, []).append(source)
    return Submission(sources, release if isinstance(release, str) else "", **beside)


def rebuild(pristine: Mapping, submission: Submission, note: str = "") -> dict:
    """The released notebook with the submission's answers in its solution cells.

    `metadata["course"]["grading"]` says what there was to say: why the file could not be read,
    a note about the release, and for each component a problem (it earns zero) or a note.
    """
    notebook = copy.deepcopy(pristine)
    problems, notes = {}, {}
    for cell in notebook["cells"]:
        course = cell["metadata"].get("course", {})
        if course.get("role") != "answer":
            continue
        component = course["component"]
        found = submission.sources.get(cell["metadata"]["nbgrader"]["grade_id"], [])
        if submission.reason:
            problems[component] = f"the notebook could not be read: {submission.reason}"
        elif not found:
            problems[component] = f"the cell {component} is missing"
        elif len(found[0]) > MAX_ANSWER_CHARACTERS:
            problems[component] = (
                f"the cell {component} holds {len(found[0])} characters, "
                f"more than the {MAX_ANSWER_CHARACTERS} that are read"
            )
        else:
            if len(found) > 1:
                notes[component] = (
                    f"the cell {component} is there {len(found)} times; the first one counts"
                )
            if found[0].strip() == cell["source"].strip():
                problems[component] = "not answered yet"
            cell["source"] = found[0]
    grading = {"reason": submission.reason, "note": note, "problems": problems, "notes": notes}
    if read_package_checks(pristine):
        grading["package"] = asdict(submission.package)
    grading["content"] = _content_hash(notebook, grading)
    notebook["metadata"]["course"]["grading"] = grading
    return notebook


def _content_hash(notebook: Mapping, grading: Mapping) -> str:
    """One hash of all that the score depends on: the release, its points, and the answers in it."""
    release = notebook["metadata"]["course"]["release"]
    sources = [cell["source"] for cell in notebook["cells"]]
    counted = [release, prices(notebook), grading, sources]
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def timestamp_beside(path: Path) -> str:
    """What a `timestamp.txt` beside the notebook at `path` says; nothing where there is none."""
    there = path.with_name(TIMESTAMP)
    try:
        content = bytes_of(there, MAX_TIMESTAMP_BYTES, top=path.parents[2])
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


def _as_notebook(tree: object) -> dict:
    if not isinstance(tree, dict) or "nbformat" not in tree:
        raise Unreadable("it is not a notebook")
    if tree["nbformat"] != 4:
        raise Unreadable("it is not in notebook format 4; save it again in JupyterLab")
    if not isinstance(tree.get("cells"), list):
        raise Unreadable("it has no list of cells")
    return tree


def _solution(cell: object) -> tuple[str | None, str]:
    """The grade_id and the source of a code cell; `(None, "")` for anything else."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return None, ""
    metadata, source = cell.get("metadata"), cell.get("source")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(grade_id, str) or not isinstance(source, str):
        return None, ""
    # Half a character (a lone surrogate) can be written in JSON and in no file.
    return grade_id, source.encode("utf-8", "replace").decode("utf-8")
