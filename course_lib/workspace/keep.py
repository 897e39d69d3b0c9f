"""Write a folder of files again and again, and never over what somebody else put there.

A file `.export.json` in the folder says what was written. A file that has changed since is kept as
it is, and the new one is put beside it under the name `….new`; or `….new-2` and so on, where
somebody has changed that one too.
"""

import contextlib
import hashlib
import itertools
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from course_lib.files import write_atomically

from .folder import WorkspaceError, cannot_write

RECORD = ".export.json"


@dataclass(frozen=True)
class Written:
    """What writing a folder did, as paths inside it."""

    kept: dict[str, str]  # changed by somebody, and so not written over: where the new one lies


def write_folder(folder: Path, files: dict[str, bytes]) -> Written:
    """Make `folder` hold these files.

    Args:
        files: contents by path inside the folder.

    Raises:
        WorkspaceError: something lies there that this function did not write, or it cannot write.
    """
    try:
        before = _record(folder)
        if before is None:
            _refuse_what_is_there(folder)
            _write_new(folder, files)
            return Written({})
        return Written(_write_again(folder, files, before))
    except OSError as error:
        raise cannot_write(error, folder) from None


def _record(folder: Path) -> dict[str, str] | None:
    """The hash of each file that was written last time; None if nothing was."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if isinstance(record, dict) else None


def _refuse_what_is_there(folder: Path) -> None:
    if folder.is_dir():
        there = sorted(path.name for path in folder.iterdir())
        if there:
            shown = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if there[3:] else "")
            raise WorkspaceError(
                f"the folder must be new, empty, or an earlier export, got {folder}, which holds "
                f"{shown}. Name another folder."
            )
    elif folder.exists() or folder.is_symlink():
        raise WorkspaceError(f"the folder must be new or empty, got {folder}, which is a file.")


def _write_new(folder: Path, files: dict[str, bytes]) -> None:
    """Complete, or not at all."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.unfinished-{secrets.token_hex(4)}")
    try:
        for name, content in files.items():
            _put(draft / name, content)
        _put(draft / RECORD, _record_of(files, {}))
        if not folder.is_dir():
            draft.rename(folder)
            return
        # A shell may stand in it, so the folder stays; the record, which makes it ours, is last.
        for path in sorted(draft.iterdir(), key=lambda path: path.name == RECORD):
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_again(folder: Path, files: dict, before: dict[str, str]) -> dict[str, str]:
    def is_ours(name: str, content: bytes) -> bool:
        path = folder / name
        known = before.get(name), _hash(content)
        return not path.is_file() or _hash(path.read_bytes()) in known

    kept, ours = {}, {}
    for name, content in files.items():
        place = name
        if not is_ours(name, content):
            others = (f"{name}.new" if n == 1 else f"{name}.new-{n}" for n in itertools.count(1))
            place = kept[name] = next(other for other in others if is_ours(other, content))
        _put(folder / place, content)
        ours[place] = content
    for name in set(before) - set(files):  # a module that is no more; weights stay
        path = folder / name
        if name.endswith(".py") and path.is_file() and _hash(path.read_bytes()) == before[name]:
            path.unlink()
    # What somebody changed stays theirs: it is on record with the hash it had when it was ours.
    _put(folder / RECORD, _record_of(ours, before))
    return kept


def _record_of(files: dict[str, bytes], before: dict[str, str]) -> bytes:
    record = before | {name: _hash(content) for name, content in files.items()}
    return json.dumps({"files": record}, indent=1).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _put(path: Path, content: bytes) -> None:
    """Write a file in one step, unless it is there as it should be."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return
    write_atomically(path, content)
