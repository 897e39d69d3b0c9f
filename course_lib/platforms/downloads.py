"""What was downloaded, a folder or a zip, as a list of files; nothing is unpacked or changed."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..grading.submission import MAX_FILE_BYTES
from ..own_files import Unreadable, bytes_of, shown
from . import PlatformError
from .archives import MAX_FILES_OF_CLASS, Refused, is_litter, members_of

MAX_DEPTH = 50  # folders in folders


@dataclass(frozen=True)
class File:
    """A file of a download.

    Args:
        path: its folders and its name, in the download.
        read: gives its bytes, or raises `Refused`.
    """

    path: tuple[str, ...]
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return self.path[-1]

    def __str__(self) -> str:
        return shown("/".join(self.path))


@dataclass(frozen=True)
class Download:
    """One thing that a platform gave.

    Args:
        name: how the folder or the archive is called, without `.zip`.
        refused: files that are not taken, with the reason.
    """

    name: str
    files: tuple[File, ...]
    refused: tuple[tuple[str, str], ...] = ()


def open_download(source: Path) -> Download:
    """What lies in a folder, or in a zip.

    Raises:
        PlatformError: it is neither, or it cannot be read.
    """
    try:
        if source.is_dir():
            return Download(source.resolve().name, *_in_folder(source))
        members, refused = members_of(source)
    except Refused as reason:
        raise PlatformError(f"{source} must be a folder or a zip archive: {reason}") from None
    except OSError as error:
        raise PlatformError(f"{source} cannot be read: {error.strerror}") from None
    files = tuple(File(member.path, member.read) for member in members)
    return Download(source.stem, files, tuple((shown(name), why) for name, why in refused))


def _in_folder(top: Path) -> tuple[tuple[File, ...], tuple[tuple[str, str], ...]]:
    files, refused = [], []
    for path, reason in _walk(top, ()):
        if reason:
            refused.append((shown("/".join(path)), reason))
        else:
            files.append(File(path, partial(_read, top, path)))
        if len(files) > MAX_FILES_OF_CLASS:
            raise PlatformError(f"{top} must hold at most {MAX_FILES_OF_CLASS:,} files")
    return tuple(files), tuple(refused)


def _walk(top: Path, folder: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every path below a folder that is not litter, and why it is not read; empty if it is."""
    try:
        with os.scandir(top.joinpath(*folder)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        if not folder:
            raise
        yield folder, "the folder cannot be opened"
        return
    for entry in found:
        path = (*folder, entry.name)
        if is_litter(path):
            continue
        if not entry.is_dir(follow_symlinks=False):
            is_file = entry.is_file(follow_symlinks=False)
            yield path, "" if is_file else "it is a link, or no file"
        elif len(path) > MAX_DEPTH:
            yield path, f"it lies more than {MAX_DEPTH} folders deep"
        else:
            yield from _walk(top, path)


def _read(top: Path, path: tuple[str, ...]) -> bytes:
    try:
        return bytes_of(top.joinpath(*path), MAX_FILE_BYTES, top=top)
    except Unreadable as reason:
        raise Refused(str(reason)) from None
