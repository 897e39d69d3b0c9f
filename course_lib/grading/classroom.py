"""A class on disk: who is in it, which lessons it handed in, and where its grades may go."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..lessons.exercises import lesson_names
from . import GradingError, NotGraded
from .records import read_json, write_json
from .releases import known_lesson

LOCK = ".lock"  # held while a run writes to the folder that it lies in
_NO_STUDENTS = ("__MACOSX",)  # what zip files leave behind


def students_of(submitted: Path) -> dict[str, Path]:
    """The students' folders, by the name that goes into the record."""
    if not submitted.is_dir():
        raise GradingError(f"there is no folder {submitted}")
    folders = {}
    for folder in sorted(submitted.iterdir()):
        if folder.name.startswith(".") or folder.name in _NO_STUDENTS or not folder.is_dir():
            continue
        # Another encoding, or a carriage return, cannot be written to a table as it is.
        name = os.fsencode(folder.name).decode("utf-8", "backslashreplace").replace("\r", r"\r")
        if name in folders:
            raise GradingError(f"two folders of {submitted} are both recorded as {name!r}")
        folders[name] = folder
    if not folders:
        raise GradingError(
            f"{submitted} holds no student's folder; "
            "expected submissions at STUDENT/LESSON/LESSON.ipynb"
        )
    return folders


def lessons_of(submitted: Path, folders: Iterable[Path], lesson: str | None) -> list[str]:
    """The lesson to grade, or all that somebody has handed in."""
    if lesson is not None:
        return [known_lesson(lesson)]
    folders = list(folders)
    found = [name for name in lesson_names() if any((each / name).exists() for each in folders)]
    if not found:
        raise GradingError(
            f"no student in {submitted} has a folder named after a lesson "
            f"({', '.join(lesson_names())})"
        )
    return found


def is_there(path: Path) -> bool:
    """Whether something lies at `path`, be it a link that leads nowhere.

    Raises:
        NotGraded: nobody can tell: what cannot be seen is not missing.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise NotGraded(f"{path.name} cannot be looked at ({error.strerror})") from None
    return True


@contextmanager
def open_folder(out: Path, submitted: Path) -> Iterator[dict]:
    """Have `out` for one grading run alone; what an earlier one left in run.json."""
    if out == submitted or submitted in out.parents:
        raise GradingError(f"{out} lies inside {submitted}: write the grades somewhere else")
    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        is_empty = all(other.name == LOCK for other in out.iterdir())
        if not is_empty and not (out / "run.json").exists():
            raise GradingError(
                f"{out} holds other things: name a new or empty folder, or that of an earlier run"
            )
        lock.acquire(timeout=0)
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
