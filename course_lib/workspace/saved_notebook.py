"""A notebook in the learner's folder, read as plain JSON."""

import json
from pathlib import Path

from .folder import WorkspaceError


def read_saved(path: Path) -> dict:
    """A saved notebook whose cells have a source and metadata.

    Raises:
        WorkspaceError: it is none.
        OSError: it is not there, or cannot be opened.
    """
    try:
        notebook = json.loads(path.read_text("utf-8"))
        for part in (notebook, *notebook["cells"]):
            part["metadata"].items()
        for cell in notebook["cells"]:
            "".join(cell["source"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"{path} is no notebook that can be read: {error}") from None
    return notebook


def source_of(cell: dict) -> str:
    """A cell's text, whichever way it was saved."""
    return "".join(cell["source"])
