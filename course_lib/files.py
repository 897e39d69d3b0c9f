"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from pathlib import Path

_DRAFT = re.compile(r"\.[0-9a-f]{16}\.part")  # no longer than most names


def write_atomically(path: Path, content: str | bytes) -> None:
    """Give `path` a new content in one step: a reader finds the old file or the new one.

    Text becomes UTF-8, its line ends as they are. Missing folders are made, permissions stay, and
    a link stays a link. When this returns, the new file is on the disk; when it raises, the old
    one is as it was, and nothing lies beside it.

    Raises:
        OSError: it cannot be written, or it is read-only, which is somebody's wish.
    """
    path = path.resolve()
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(draft, "xb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, draft)
        os.replace(draft, path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(draft):
            error.filename = str(path)  # the draft's name says nothing to who reads it
        raise
    _keep_names(path.parent)


def remove_drafts(folder: Path) -> None:
    """Remove what a writer that was killed left below a folder, where no other writes now."""
    for path in folder.rglob(".*.part"):
        if _DRAFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """See to it that after a power cut, too, the folder knows its files by their new names."""
    with contextlib.suppress(OSError):  # Windows opens no folders, some disks sync none
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
