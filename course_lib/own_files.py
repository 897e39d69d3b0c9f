"""Files that somebody else made, read without following a link, and only if they are plain files.

A path is walked folder by folder, each opened inside the one before it, so that nothing on the way
can be exchanged for a link between a look and a read. What stands above `top` is ours and may be
reached by links; below it nothing may.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

MAX_NAMES = 10_000

# Errors of the machine, which say nothing about what was handed in: they are raised as they are.
OF_THE_MACHINE = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)


class Unreadable(Exception):
    """A file that is not read; the text says why."""


def bytes_of(path: Path, most: int, *, top: Path | None = None) -> bytes:
    """The bytes of a regular file; links, folders, pipes and devices are not opened.

    Args:
        top: the folder below which no link is followed, and a file must be its folder's own;
            without it, only the file itself is looked at.

    Raises:
        Unreadable: it is no such file, cannot be opened, or has more than `most` bytes.
        OSError: the machine failed, whatever lies there.
    """
    with _told(), _opened(path.parent, top) as folder:
        before = _looked_at(path, folder)
        if stat.S_ISLNK(before.st_mode):
            raise Unreadable("it is a link, not a file")
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("it is not a file")
        with os.fdopen(_open(path, folder, _FILE), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable("it is not a file")
            if top is not None and not _is_own(found, folder):
                raise Unreadable(
                    "it is a hard link: the same file stands under another name too; "
                    "put a copy of its own there"
                )
            content = file.read(most + 1) if found.st_size <= most else b""
    if found.st_size > most or len(content) > most:
        size = f"{most // 2**20} MB" if most >= 2**20 else f"{most:,} bytes"
        raise Unreadable(f"it is larger than {size}")
    return content


def names_in(path: Path, *, top: Path | None = None) -> list[str]:
    """The names of what lies in a folder, in order.

    Raises:
        Unreadable: it is none, cannot be opened, or holds more than anybody hands in.
        OSError: the machine failed, whatever lies there.
    """
    with (
        _told(),
        _opened(path, top) as folder,
        os.scandir(path if folder is None else folder) as entries,
    ):
        names = [entry.name for entry in islice(entries, MAX_NAMES + 1)]
    if len(names) > MAX_NAMES:
        raise Unreadable(f"it holds more than {MAX_NAMES:,} files")
    return sorted(names)


def lies_there(path: Path, *, top: Path) -> bool:
    """Whether something lies at `path`, readable or not: False only if surely nothing does.

    Beyond a link nothing is looked for: the link is what lies there.
    """
    try:
        with _opened(path.parent, top) as folder:
            _looked_at(path, folder)
    except FileNotFoundError:
        return False
    except Unreadable:
        pass
    except OSError as error:
        if error.errno in OF_THE_MACHINE:
            raise
    return True


_CAN_WALK = os.open in os.supports_dir_fd  # not on Windows, where nobody grades a class
_FILE = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY")
_FOLDER = ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
_OURS = ("O_DIRECTORY", "O_CLOEXEC")


@contextlib.contextmanager
def _opened(path: Path, top: Path | None) -> Iterator[int | None]:
    """A descriptor of the folder at `path`; None where this system cannot walk."""
    top = path if top is None else top
    parts = path.relative_to(top).parts
    if not _CAN_WALK:
        for folder in [top.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]:
            if folder.is_symlink():
                raise Unreadable(f"{folder.name} is a link, not a folder")
        yield None
        return
    opened = os.open(top, _flags(_OURS))
    try:
        for part in parts:
            found = os.stat(part, dir_fd=opened, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise Unreadable(f"{shown(part)} is a link, not a folder")
            if not stat.S_ISDIR(found.st_mode):
                raise Unreadable(f"{shown(part)} is not a folder")
            inner = os.open(part, _flags(_FOLDER), dir_fd=opened)
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The system's own refusals, as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in OF_THE_MACHINE:
            raise
        raise Unreadable(f"it cannot be opened ({error.strerror})") from None


def _is_own(file: os.stat_result, folder: int | None) -> bool:
    """Whether a file has no second name, or one that harms nobody.

    Who owns the folder and the file may name it twice; nobody else gets them into trouble by a name
    elsewhere. Where all belongs to who grades, a hard link cannot say whose it is.
    """
    if file.st_nlink == 1 or folder is None:
        return True
    return file.st_uid == os.fstat(folder).st_uid != os.geteuid()


def _looked_at(path: Path, folder: int | None) -> os.stat_result:
    name = path if folder is None else path.name
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _open(path: Path, folder: int | None, flags: tuple[str, ...]) -> int:
    return os.open(path if folder is None else path.name, _flags(flags), dir_fd=folder)


def _flags(names: tuple[str, ...]) -> int:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    for name in names:
        flags |= getattr(os, name, 0)  # not every system has each
    return flags


def shown(name: str) -> str:
    """A file's name as it can stand in a table, a page and a terminal, and no two names alike.

    What is no text, cannot be printed, or would not be seen at its end is written as an escape; a
    backslash is doubled, so that no name looks like another one's escapes.
    """
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    inner = text.strip(" ")
    first = len(text) - len(text.lstrip(" "))
    ends = {*range(first), *range(first + len(inner), len(text))}
    return "".join(_escaped(c) if n in ends else _character(c) for n, c in enumerate(text))


def _character(character: str) -> str:
    if character == "\\":
        return r"\\"
    return character if character.isprintable() else _escaped(character)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no text
        return f"\\x{code - 0xDC00:02x}"
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character)
    return named or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
