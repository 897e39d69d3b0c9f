"""nbgrader's own programs on the folder that a class was graded into: formgrader, and the rest.

A folder of grades is a course of nbgrader's: a gradebook, judged notebooks, pages. Its
`nbgrader_config.py` is written by each run, and gives these programs the settings of the teacher's
course, so that a page is made as the run makes it, and a submission never runs outside the sandbox.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

from traitlets.config import Config

from ..files import write_atomically
from . import GradingError
from .course import CONFIG, nbgrader_settings
from .gradebook import find_alembic, replace_steps

PACKAGE = Path(__file__).resolve().parents[1]
EXTENSION = "nbgrader.server_extensions.formgrader"

_SETTINGS = '''"""Written by `course grade`: what nbgrader's own programs need in this folder."""

import sys
from pathlib import Path

sys.path.insert(0, {above!r})

from course_lib.grading.formgrader import settle

settle(get_config(), Path(__file__).resolve().parent, Path({root!r}))  # nbgrader defines it
'''


def write_settings(out: Path, root: Path) -> None:
    """Write the settings of a folder of grades, if they are other ones.

    Args:
        root: the teacher's course.
    """
    text, path = _SETTINGS.format(above=str(PACKAGE.parent), root=str(root)), out / CONFIG
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def settle(config: Config, out: Path, root: Path) -> None:
    """Give nbgrader in `out` the settings of the course at `root`, but for where things lie."""
    course = nbgrader_settings(root)
    config.merge(course)
    config.CourseDirectory = Config(root=str(out))
    if course_id := course.CourseDirectory.get("course_id"):
        config.CourseDirectory.course_id = course_id
    config.SubmissionExporter.course_root = str(root)
    find_alembic()
    replace_steps(config)


def command(out: Path, *, browser: bool, port: int | None) -> list[str]:
    """What starts formgrader on a folder of grades.

    Raises:
        GradingError: the folder holds no grades, or what shows them is not installed.
    """
    out = out.resolve()
    if not (out / "gradebook.db").is_file() or not (out / CONFIG).is_file():
        raise GradingError(f"{out} holds no grades: name the folder that `course grade` wrote to")
    if importlib.util.find_spec("notebook") is None:
        raise GradingError("formgrader needs Jupyter's server: pip install notebook")
    settings = {
        "ServerApp.root_dir": out,
        "ServerApp.jpserver_extensions": f"{EXTENSION}=True",
        "ServerApp.default_url": "/formgrader",
        "ServerApp.open_browser": browser,
        **({} if port is None else {"ServerApp.port": port}),
    }
    return [
        sys.executable,
        "-m",
        "notebook",
        *(f"--{key}={value}" for key, value in settings.items()),
    ]


def run(out: Path, *, browser: bool = True, port: int | None = None) -> int:
    """Show formgrader until it is stopped; its exit status comes back.

    Raises:
        GradingError: as `command` does.
    """
    try:
        return subprocess.run(command(out, browser=browser, port=port), cwd=out).returncode
    except KeyboardInterrupt:  # Jupyter has stopped
        return 0
