"""A class on disk: who is in it, which lessons it handed in, and where its grades may go."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..files import remove_drafts
from ..lessons.exercises import lesson_names
from ..own_files import Unreadable, names_in, shown
from . import GradingError
from .layout import PLACE, beside, check_layout
from .records import read_json, write_json
from .releases import known_lesson

LOCK = ".lock"  # held while a run writes to the folder that it lies in
_NO_STUDENTS = ("__MACOSX",)  # what zip files leave behind
_LONGEST = 200  # bytes of a recorded name; most systems allow 255


def students_of(submitted: Path) -> dict[str, Path]:
    """The students' folders, by the name that goes into the record.

    A link is there too: what it leads to is not read, and its student is told so.
    """
    if not submitted.is_dir():
        raise GradingError(f"there is no folder {submitted}")
    folders = {
        recorded(folder.name): folder
        for folder in sorted(submitted.iterdir())
        if not folder.name.startswith(".") and folder.name not in _NO_STUDENTS
        if folder.is_symlink() or folder.is_dir()
    }
    if not folders:
        found = "".join(f"; {sentence}" for sentence in beside(submitted))
        raise GradingError(
            f"{submitted} holds no student's folder; expected submissions at {PLACE}{found}"
        )
    return folders


def recorded(folder: str) -> str:
    """The student whom a folder stands for, as the record has it; no two folders are one student.

    It is the folder's name, with escapes for what cannot be seen or written (`own_files.shown`).
    One that would be too long for a folder of grades ends in a part of its hash.
    """
    name = shown(folder)
    if len(name.encode("utf-8")) <= _LONGEST:
        return name
    of_all = hashlib.sha256(name.encode("utf-8")).hexdigest()[:12]
    return f"{name.encode('utf-8')[:_LONGEST].decode('utf-8', 'ignore')}…{of_all}"


def lessons_of(submitted: Path, folders: Iterable[Path], lesson: str | None) -> list[str]:
    """The lesson to grade, or all that somebody has handed in."""
    if lesson is not None:
        return [known_lesson(lesson)]
    named = {name for folder in folders for name in _names_in(folder, submitted)}
    found = [name for name in lesson_names() if name in named]
    if not found:
        check_layout(submitted, {folder.name: folder for folder in folders}, lesson_names())
        raise GradingError(
            f"no student in {submitted} has a folder named after a lesson "
            f"({', '.join(lesson_names())})"
        )
    return found


def _names_in(folder: Path, submitted: Path) -> list[str]:
    try:
        return names_in(folder, top=submitted)
    except Unreadable:  # its student will be told, lesson by lesson
        return []


@contextmanager
def open_folder(out: Path, submitted: Path) -> Iterator[dict]:
    """Have `out` for one grading run alone; what an earlier one left in run.json."""
    if out == submitted or submitted in out.parents:
        raise GradingError(f"{out} lies inside {submitted}: write the grades somewhere else")
    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The course's settings may have put its gradebook there, and nothing else yet.
        is_empty = all(other.name.startswith((LOCK, "gradebook.db")) for other in out.iterdir())
        if not is_empty and not (out / "run.json").exists():
            raise GradingError(
                f"{out} holds other things: name a new or empty folder, or that of an earlier run"
            )
        lock.acquire(timeout=0)
        remove_drafts(out)
        before = read_json(out / "run.json")
        write_json(out / "run.json", before)
    except Timeout:
        raise GradingError(f"another run writes to {out}: wait until it has ended") from None
    except OSError as error:
        lock.release()
        raise GradingError(f"cannot write to {out}: {error.strerror}") from None
    try:
        yield before
    finally:
        lock.release()
