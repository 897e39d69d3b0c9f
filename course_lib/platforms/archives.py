"""Zip archives that somebody else made: read file by file, in memory, and only what is harmless.

A student's archive is taken whole or not at all. In a platform's download one bad file concerns
the student whose it is, so there each file is refused for itself.
"""

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unicodedata import normalize

from ..grading.submission import MAX_FILE_BYTES
from ..own_files import shown

MAX_FILES = 2_000  # in a student's archive
MAX_FILES_OF_CLASS = 50_000  # in a platform's
MAX_BYTES = 250 * 2**20  # what a student's archive may hold, unpacked
MAX_RATIO = 200  # of a file unpacked to the file packed, beyond what is small anyway
SMALL = 10 * 2**20
MAX_ENTRY = 1_000  # bytes in an archive's directory, for each of its files

_BIG_END = 56 + 20  # bytes: the end of a directory beyond 4 GB, and what says where it is
_END_AND_COMMENT = 2**16 + 22 + _BIG_END
_ELSEWHERE = 0xFFFFFFFF

OTHERS = (".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")  # archives that are no zip
ARCHIVES = (".zip", *OTHERS)

# What systems leave behind, and nobody hands in.
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints", ".git")

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError),
    *(RuntimeError, ValueError, IndexError, OverflowError),
)


class Refused(Exception):
    """Something that is not taken; the text says why, and what to do."""


@dataclass(frozen=True)
class Member:
    """A file in an archive, by its path there."""

    path: tuple[str, ...]
    read: Callable[[], bytes]  # raises Refused


def unpack(content: bytes) -> dict[tuple[str, ...], bytes]:
    """The files of a student's archive, by their paths.

    Raises:
        Refused: one of them is not taken, or all of them together are not.
    """
    archive = _opened(io.BytesIO(content), MAX_FILES)
    infos = [info for info in archive.infolist() if not info.is_dir()]
    clashing = _clashing(infos)
    for info in infos:
        if reason := _against(info, clashing):
            raise Refused(reason)
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        raise Refused(
            f"it unpacks to {total // 2**20} MB, more than {MAX_BYTES // 2**20} MB: "
            "hand in the notebook without its outputs"
        )
    paths = {info: _path(info) for info in infos}
    wanted = {info: path for info, path in paths.items() if not is_litter(path)}
    for path in wanted.values():
        if path[-1].lower().endswith(ARCHIVES):
            raise Refused(
                f"it holds another archive, {shown('/'.join(path))}: hand in the files themselves"
            )
    return {path: _read(archive, info) for info, path in wanted.items()}


def members_of(download: Path) -> tuple[list[Member], list[tuple[str, str]]]:
    """The files of a platform's archive; and those that are refused, each with the reason.

    Raises:
        Refused: it is no archive that can be read.
    """
    archive = _opened(download, MAX_FILES_OF_CLASS)
    infos = [info for info in archive.infolist() if not info.is_dir()]
    clashing = _clashing(infos)
    taken, refused = [], []
    for info in infos:
        if reason := _against(info, clashing):
            refused.append((_name(info), reason))
        elif not is_litter(path := _path(info)):
            taken.append(Member(path, partial(_read, archive, info)))
    return taken, refused


def is_litter(path: tuple[str, ...]) -> bool:
    """Whether a system left it there; `._` begins what a Mac keeps beside a file."""
    return any(part in LITTER for part in path) or path[-1].startswith("._")


def _opened(source: io.BytesIO | Path, most: int) -> zipfile.ZipFile:
    try:
        size = _directory_size(source)
        if size > most * MAX_ENTRY:
            raise Refused(f"it holds more than {most:,} files: hand in the notebook alone")
        archive = zipfile.ZipFile(source)
    except _BROKEN:
        raise Refused("it is no zip archive that can be read: pack it again") from None
    if len(archive.infolist()) > most:
        raise Refused(f"it holds more than {most:,} files: hand in the notebook alone")
    return archive


def _directory_size(source: io.BytesIO | Path) -> int:
    """How many bytes the list of an archive's files takes, before any of it is believed."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _size_said_at_the_end(file)
    return _size_said_at_the_end(source)


def _size_said_at_the_end(file: io.IOBase) -> int:
    length = file.seek(0, io.SEEK_END)
    start = max(0, length - _END_AND_COMMENT)
    file.seek(start)
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0:
        raise zipfile.BadZipFile("no end of a directory")
    (size,) = struct.unpack_from("<I", end, at + 12)
    if size == _ELSEWHERE:  # of an archive beyond 4 GB it stands before, in eight bytes
        before = end[max(0, at - _BIG_END) : at]
        if before.startswith(b"PK\x06\x06") and len(before) == _BIG_END:
            (size,) = struct.unpack_from("<Q", before, 40)
    return min(size, start + at)  # what is a lie is at most all before the end


def _against(info: zipfile.ZipInfo, clashing: dict[str, str]) -> str:
    """Why a file of an archive is not taken; empty if nothing is against it."""
    name = _name(info)
    what = shown(name)
    parts = name.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    ratio = info.file_size / max(info.compress_size, 1)
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return f"{what} has an absolute path: pack it again, from its folder"
    if ".." in parts:
        return f"{what} leads out of its folder: pack it again, without '..'"
    if any(ord(c) < 32 for c in name) or not parts[-1].strip(". "):
        return f"{what} is no name of a file: name it after its lesson"
    if kind not in (0, stat.S_IFREG):
        said = "a link" if kind == stat.S_IFLNK else "no file"
        return f"{what} is {said}: pack the file itself"
    if info.flag_bits & 1:
        return f"{what} is encrypted: pack it again, without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"{what} is packed in a way that is not read: pack it as an ordinary zip"
    if info.file_size > MAX_FILE_BYTES:
        return f"{what} is larger than {MAX_FILE_BYTES // 2**20} MB: hand it in without its outputs"
    if info.file_size > SMALL and ratio > MAX_RATIO:
        return f"{what} unpacks to {ratio:,.0f} times its size: hand it in without its outputs"
    if other := clashing.get(name):
        return f"{what} and {shown(other)} are one name where case does not count: rename one"
    return ""


def _clashing(infos: list[zipfile.ZipInfo]) -> dict[str, str]:
    """The names that are one on some systems, each with another such, or with itself if twice."""
    names = [_name(info) for info in infos]
    parts = [name.split("/") for name in names]
    folders = {"/".join(each[:n]) for each in parts for n in range(1, len(each))}
    alike: dict[str, list[str]] = {}
    for name in [*names, *folders]:
        alike.setdefault(normalize("NFC", name).casefold(), []).append(name)
    files = set(names)
    return {
        one: next((other for other in same if other != one), one)
        for same in alike.values()
        if len(same) > 1
        for one in same
        if one in files
    }


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a file, with `/` between folders, in the characters that were meant.

    Programs that write UTF-8 and do not say so are many: Python then takes it for code page 437.
    """
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _path(info: zipfile.ZipInfo) -> tuple[str, ...]:
    return tuple(part for part in _name(info).split("/") if part not in ("", "."))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
    except _BROKEN:
        content = None
    if content is None or len(content) != info.file_size:
        raise Refused(f"{shown(_name(info))} in it is broken: pack it again") from None
    return content
