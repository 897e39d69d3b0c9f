"""`course lab`: JupyterLab at the exercise that comes next."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from .folder import WorkspaceError
from .next_step import lesson_called, lessons, next_lesson


def notebook_to_open(workspace: Path, lesson: str | None) -> Path:
    """The notebook of `lesson`, or that of the next exercise; the last one when all is done.

    Args:
        lesson: its name or number, such as 3.

    Raises:
        WorkspaceError: there is no such lesson, or its notebook is not in the workspace.
    """
    if lesson is None:
        found = lessons(workspace)
        name = (next_lesson(found) or found[-1]).name
    else:
        name = lesson_called(lesson)
    notebook = workspace / f"{name}.ipynb"
    if not notebook.is_file():
        raise WorkspaceError(f"{notebook} is not there. To bring it back: course update")
    return notebook


def open_lab(notebook: Path) -> int:
    """Run JupyterLab with this notebook until it is stopped; its exit status comes back.

    Raises:
        WorkspaceError: JupyterLab is not installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise WorkspaceError(
            "JupyterLab is not installed here. Install it: pip install 'build-a-transformer[learn]'"
        )
    command = [sys.executable, "-m", "jupyterlab", notebook.name]
    try:
        return subprocess.run(command, cwd=notebook.parent).returncode
    except KeyboardInterrupt:  # JupyterLab has asked, and stopped
        return 0
