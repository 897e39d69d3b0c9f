"""How a learner's folder is recognised: by the file `course.toml` at its top."""

import tomllib
from pathlib import Path

MARKER = "course.toml"
VERSION = 1


class WorkspaceError(Exception):
    """A learner's folder cannot be made, found, read or written; the text says what to do."""


def cannot_write(error: OSError, path: Path) -> WorkspaceError:
    """What to say of a write that failed: which file, or `path` where it has a passing name."""
    name = str(error.filename or path)
    if ".unfinished-" in name:  # a folder that is not in its place yet
        name = str(path)
    return WorkspaceError(f"{name} cannot be written: {error.strerror or error}")


def marker_text(made_by: str) -> str:
    """What the marker of a new workspace says."""
    return (
        "# This file marks the folder as yours in the course: `course` and the notebooks look\n"
        "# for it. Keep it here.\n\n"
        f'[workspace]\nversion = {VERSION}\nmade_by = "{made_by}"\n'
    )


def find_workspace(path: str | Path) -> Path | None:
    """The workspace that holds `path`: the nearest folder, itself included, with our marker.

    Raises:
        WorkspaceError: the folder was made by a later version of the course.
    """
    path = Path(path).resolve()
    for folder in (path, *path.parents):
        version = _version(folder / MARKER)
        if version is None:
            continue
        if version > VERSION:
            raise WorkspaceError(
                f"{folder} was made by a later version of the course (its {MARKER} says "
                f"version {version}; this one reads up to {VERSION}). "
                "Update with: pip install -U build-a-transformer"
            )
        return folder
    return None


def require_workspace(path: str | Path) -> Path:
    """The workspace that holds `path`.

    Raises:
        WorkspaceError: there is none.
    """
    workspace = find_workspace(path)
    if workspace is None:
        raise WorkspaceError(
            f"{Path(path).resolve()} is not in a folder made by `course start`. "
            "Go there, or make one: course start my-transformer"
        )
    return workspace


def _version(marker: Path) -> int | None:
    """The version in a marker; None where there is no marker, or it marks something else."""
    try:
        version = tomllib.loads(marker.read_text("utf-8-sig"))["workspace"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if type(version) is int else None
