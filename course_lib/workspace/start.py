"""Make a learner's folder: the notebooks, and the package that they will write."""

import contextlib
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

from .borrow import PACKAGE, borrowing_text, our_modules
from .folder import MARKER, WorkspaceError, cannot_write, find_workspace, marker_text
from .update import HANDED_OUT, handed_out, written

README = f"""\
# Your transformer

- the notebooks, one a lesson: work through them in order
- `{PACKAGE}/`: your transformer, complete from the first minute because the course lends you its
  parts; what you write in a notebook and `check` finds right is put there in their place
- `{PACKAGE}/.history/`: earlier versions of what you wrote
- `{MARKER}` and `.course/`: mark this folder as yours, and keep the notebooks as you got them
- `AGENTS.md`: asks an assistant, if you use one, to be your tutor and not your ghostwriter

## What to do next

    course lab

opens JupyterLab at the next exercise. Run the first cell, read, write what the stubs ask for, and
run the `check` below each. Nothing here is ever overwritten but a part that you improve, and its
earlier versions are kept.

- `course status`: how far you are, and what comes next
- `course check`: all parts at once
- `course watch`: what you save, judged as you save it
- `course hint causal_mask`: a nudge; there are more
- `course solution causal_mask`: ours beside yours, once yours is right
- `course reset causal_mask`: begin this one again; what you had is kept
- `course submit 03`: an archive to hand in
- `course update`: newer lessons, with all that you wrote

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
    exercised = {e.module for name in lessons for e in read_exercises(read_notebook(name))}
    for name in ("__init__", *our_modules()):
        text = borrowing_text(name, is_for_writing=name in exercised)
        _write(package / f"{name}.py", text)
    for name in lessons:
        text = written(handed_out(name))
        _write(folder / f"{name}.ipynb", text)
        _write(folder / HANDED_OUT / f"{name}.ipynb", text)
    _write(folder / "README.md", README)
    _write(folder / "AGENTS.md", (Path(__file__).parent / "AGENTS.md").read_text("utf-8"))
    _write(folder / MARKER, marker_text(f"build-a-transformer {__version__}"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
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
