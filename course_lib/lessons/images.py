"""Images of a lesson's text, put into the notebook itself: files beside it would stay behind."""

import base64
import mimetypes
import re
from pathlib import Path

from .text import LessonError

_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)\s]+)\)")


def attached(text: str, folder: Path) -> tuple[str, dict]:
    """Markdown whose images are attachments of its cell, and these attachments.

    Args:
        folder: where the text lies; its images are named from there.

    Raises:
        LessonError: an image is no file of the folder.
    """
    attachments = {}

    def attach(found: re.Match) -> str:
        path = folder / found["path"]
        kind, _ = mimetypes.guess_type(path.name)
        if not path.is_file() or not (kind or "").startswith("image/"):
            raise LessonError(
                f"an image must be a file below the lesson's folder, got {found['path']!r}."
            )
        name = found["path"].removeprefix("./").replace("/", "-")
        attachments[name] = {kind: base64.b64encode(path.read_bytes()).decode("ascii")}
        return f"![{found['alt']}](attachment:{name})"

    return _IMAGE.sub(attach, text), attachments
