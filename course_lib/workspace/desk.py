"""Where a notebook is worked in: which folder collects what passes, and how that is said.

One line when the notebook is opened and one at each pass, and none while a notebook is validated,
graded or run for the book: nobody is at work then, and nothing is written.
"""

import json
import os
import sys
from pathlib import Path

from course_lib.lessons.exercises import read_notebook

from .borrow import PACKAGE
from .folder import MARKER, find_workspace

# nbgrader and the build of the book set these when they run a notebook.
_NOBODY = ("NBGRADER_VALIDATING", "NBGRADER_EXECUTION", "COURSE_BOOK_BUILD")


def someone_is_at_work() -> bool:
    """Does a learner work in this notebook?"""
    return not any(os.environ.get(name) for name in _NOBODY)


def workspace_of(lesson: str) -> Path | None:
    """The learner's folder: around the working directory, or around the notebook of `lesson`.

    They differ where a program starts its kernels somewhere else.

    Raises:
        WorkspaceError: the folder was made by a later version of the course.
    """
    workspace = find_workspace(Path.cwd())
    if workspace is None and (notebook := notebook_file(lesson)):
        workspace = find_workspace(notebook.parent)
    return workspace


def notebook_file(lesson: str) -> Path | None:
    """The notebook's file, as Jupyter's server or VS Code tells its kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    told = [os.environ.get("JPY_SESSION_NAME")]
    told.append(shell.user_ns.get("__vsc_ipynb_file__") if shell else None)
    for path in [Path(text) for text in told if text]:
        # A kernel within a kernel inherits the name of another notebook.
        if path.is_absolute() and path.is_file() and lesson in path.name:
            return path
    return None


def where_passes_go(workspace: Path | None) -> str:
    """What the first cell says."""
    if workspace is not None:
        return f"What passes here is collected in {workspace / PACKAGE}."
    return (
        f"What passes stays in this notebook: {Path.cwd()} is in no folder made by `course start` "
        f"(none has a {MARKER}). To collect it: course start DIR, and work in the notebook there."
    )


def release_note(lesson: str) -> str:
    """A word where the notebook is of another release than the course that judges it, else ""."""
    file = notebook_file(lesson)
    try:
        theirs = (
            json.loads(file.read_text("utf-8"))["metadata"]["course"]["release"] if file else ""
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    installed = read_notebook(lesson)["metadata"]["course"]["release"]
    if theirs in ("", installed):
        return ""
    return (
        f"This notebook is of release {theirs}, the course installed here of {installed}. To bring "
        "it up to date, with all that you wrote: save it, close it, and run course update."
    )


NOT_COLLECTED = "It stays in this notebook alone. To collect it: course start DIR, and work there."
