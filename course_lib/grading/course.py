"""A teacher's course on disk: nbgrader's settings at its root, and the gradebook that they name."""

from pathlib import Path

from jupyter_core.paths import jupyter_config_path
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from traitlets.config import Config, ConfigFileNotFound, PyFileConfigLoader

from . import GradingError

CONFIG = "nbgrader_config.py"


def nbgrader_settings(root: Path) -> Config:
    """nbgrader's settings, from where `nbgrader autograde` reads them when it runs in `root`."""
    settings = Config()
    for folder in [*reversed(jupyter_config_path()), str(root)]:
        try:
            settings.merge(PyFileConfigLoader(CONFIG, path=folder).load_config())
        except ConfigFileNotFound:
            continue
        except Exception as error:
            raise GradingError(
                f"{folder}/{CONFIG} fails: {type(error).__name__}: {error}"
            ) from None
    return settings


def gradebook_url(root: Path) -> str:
    """Where the course's gradebook is: what `CourseDirectory.db_url` says, else at the root.

    Raises:
        GradingError: the setting is no address of a database.
    """
    root, config = root.resolve(), nbgrader_settings(root)
    config.CourseDirectory.root = str(root)
    url = CourseDirectory(config=config).db_url
    parts = _parsed(url)
    if _is_file(parts):  # a relative one begins where nbgrader runs, which is at the root
        return f"sqlite:///{root / parts.database}"
    return url


def course_gradebook(root: Path) -> Gradebook | None:
    """The course's gradebook; None where there is none yet: it is not made."""
    url = gradebook_url(root)
    parts = _parsed(url)
    if _is_file(parts) and not Path(parts.database).exists():
        return None
    return Gradebook(url)


def roster(root: Path) -> list[str]:
    """The students whom the course's gradebook knows."""
    course = course_gradebook(root)
    if course is None:
        return []
    with course as book:
        return sorted(student.id for student in book.students)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise GradingError(
            f"CourseDirectory.db_url in {CONFIG} must be the address of a database, such as "
            f"sqlite:////home/me/gradebook.db, got {url!r}"
        ) from None


def _is_file(parts: URL) -> bool:
    return parts.get_backend_name() == "sqlite" and bool(parts.database)
