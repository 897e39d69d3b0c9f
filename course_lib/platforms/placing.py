"""A submission's folder, `SUBMITTED/STUDENT/LESSON`: what lies there, and giving it another."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..grading.submission import MAX_FILE_BYTES
from ..lessons.package_text import PACKAGE
from ..own_files import Unreadable, bytes_of, lies_there, names_in
from .archives import Refused


def lying_there(submitted: Path, student: str, lesson: str) -> dict[str, bytes]:
    """The files of a submission as they lie there, by their paths; none if there are none.

    Raises:
        Refused: something else lies there, such as a link.
    """
    folder, files = submitted / student / lesson, {}
    notebook = folder / f"{lesson}.ipynb"
    package = folder / PACKAGE
    try:
        if lies_there(notebook, top=submitted):
            files[notebook.name] = bytes_of(notebook, MAX_FILE_BYTES, top=submitted)
        if lies_there(package, top=submitted):
            for name in names_in(package, top=submitted):
                if name.endswith(".py"):
                    content = bytes_of(package / name, MAX_FILE_BYTES, top=submitted)
                    files[f"{PACKAGE}/{name}"] = content
    except Unreadable as reason:
        raise Refused(f"what lies in {folder} cannot be read: {reason}") from None
    return files


def place(submitted: Path, student: str, lesson: str, files: Mapping[str, bytes]) -> None:
    """Put a submission there in one step, in place of another; other files in its folder stay.

    A run that is cut short leaves the one or the other, or nothing, which the next run mends.

    Raises:
        OSError: it cannot be written.
    """
    folder = submitted / student / lesson
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".collecting-", dir=submitted))
    try:
        for name, content in files.items():
            (draft / "new" / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / "new" / name).write_bytes(content)
        if folder.is_dir():
            folder.rename(draft / "old")
            for other in (draft / "old").iterdir():
                if other.name not in (f"{lesson}.ipynb", PACKAGE):
                    other.rename(draft / "new" / other.name)
        (draft / "new").rename(folder)
    except BaseException:
        if (draft / "old").exists() and not folder.exists():
            (draft / "old").rename(folder)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
