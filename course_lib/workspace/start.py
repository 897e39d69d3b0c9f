"""Make a learner's folder: the notebooks, and the package that they will write."""

import contextlib
import json
import secrets
import shutil
from pathlib import Path

from course_lib import __version__
from course_lib.lessons.exercises import (
    exercises_folder,
    lesson_names,
    read_exercises,
    read_notebook,
)
from course_lib.lessons.links import side_by_side

from .borrow import PACKAGE, borrowing_text, our_modules
from .folder import MARKER, WorkspaceError, cannot_write, find_workspace, marker_text

README = f"""\
# Your transformer

- the notebooks, one a lesson: work through them in order
- `{PACKAGE}/`: your transformer, complete from the first minute because the course lends you its
  parts; what you write in a notebook and `check` finds right is put there in their place
- `{PACKAGE}/.history/`: earlier versions of what you wrote
- `{MARKER}`: marks this folder as yours; keep it

## What to do next

    jupyter lab {{first}}

Run the first cell, read, write what the stubs ask for, and run the `check` below each. All of it
is yours to keep and to change: nothing here is ever overwritten but a part that you improve, and
its earlier versions are kept.

How far you are: `course status`. All parts at once, from a terminal: `course check`.

This package needs the course beside it, which lends what you have not written, and what is given
to everybody. `course export` writes one that needs numpy and torch alone, and says in it what is
yours and what was given.
"""


def start(directory: str | Path) -> Path:
    """Make a workspace in `directory`, which is new or empty; its path comes back.

    It is complete or not there at all.

    Raises:
        WorkspaceError: something is there already, or it cannot be written.
    """
    directory = Path(directory).expanduser()
    try:
        directory = directory.resolve()
        _refuse_what_is_there(directory)
        _refuse_to_nest(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = directory.with_name(f".{directory.name}.unfinished-{secrets.token_hex(4)}")
        try:
            _fill(draft)
            _move(draft, directory)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise cannot_write(error, directory) from None
    return directory


def _refuse_what_is_there(directory: Path) -> None:
    if directory.is_dir():
        there = sorted(path.name for path in directory.iterdir())
        if not there:
            return
        if find_workspace(directory) == directory:
            raise WorkspaceError(
                f"{directory} is a workspace already, and stays as it is. "
                "Go on working in it, or name another folder."
            )
        shown = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
        raise WorkspaceError(
            f"the folder must be new or empty, got {directory}, which holds {shown}. "
            "Name another folder."
        )
    if directory.exists():
        raise WorkspaceError(f"the folder must be new or empty, got {directory}, which is a file.")


def _refuse_to_nest(directory: Path) -> None:
    around = find_workspace(directory.parent)
    if around is not None:
        raise WorkspaceError(
            f"a workspace cannot lie inside another, got {directory}, which would lie in {around}. "
            "Go on working there, or name a folder outside it."
        )


def _fill(folder: Path) -> None:
    lessons = lesson_names()
    if not lessons:
        raise WorkspaceError(
            f"no notebooks lie in {exercises_folder()}: in a checkout, run `course build` first; "
            "otherwise install build-a-transformer again."
        )
    package = folder / PACKAGE
    package.mkdir(parents=True)
    written = {e.module for name in lessons for e in read_exercises(read_notebook(name))}
    for name in ("__init__", *our_modules()):
        text = borrowing_text(name, is_for_writing=name in written)
        _write(package / f"{name}.py", text)
    for name in lessons:
        notebook = side_by_side(read_notebook(name), there=lessons)
        text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
        _write(folder / f"{name}.ipynb", text + "\n")
    _write(folder / "README.md", README.format(first=f"{lessons[0]}.ipynb"))
    _write(folder / MARKER, marker_text(f"build-a-transformer {__version__}"))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _move(draft: Path, directory: Path) -> None:
    """Let the finished draft appear as `directory`."""
    if not directory.is_dir():
        draft.rename(directory)
        return
    if directory != Path.cwd():
        with contextlib.suppress(OSError):  # a mount point can be neither removed nor replaced
            directory.rmdir()
            draft.rename(directory)
            return
    # A shell stands in the folder, so the folder stays; the marker, which makes it a workspace,
    # comes last.
    for path in sorted(draft.iterdir(), key=lambda path: path.name == MARKER):
        path.rename(directory / path.name)
