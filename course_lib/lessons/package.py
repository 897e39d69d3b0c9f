"""A learner's package as it lies on disk, read as text; and what its modules may borrow.

It was handed in by someone who wants points: only regular files `*.py` at its top are read, up to
a size, no link is followed, and whatever else lies there is not looked at.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .source import TRANSFORMER, component_names, given_source, module_source, to_learner

PACKAGE = "my_transformer"
MAX_FILES = 64
MAX_MODULE_BYTES = 200_000
MAX_PACKAGE_BYTES = 1_000_000

# What `my_transformer/*.py` import from us, and which packages of ours are not there in class.
BORROW_FROM = "course_lib.workspace.borrow"
ABSENT = ("course_lib", "observe")


@dataclass(frozen=True)
class PackageText:
    """The text of each module of a package, or the reason why there is none."""

    modules: dict[str, str] = field(default_factory=dict)
    reason: str = ""


class Unreadable(Exception):
    """A file that is not read; the text says why."""


def read_package(folder: Path) -> PackageText:
    """The modules of the package in `folder`. Never raises: a reason says what is wrong."""
    try:
        if folder.is_symlink() or folder.parent.is_symlink():
            raise Unreadable(f"{PACKAGE} is a link, not a folder")
        if not folder.is_dir():
            raise Unreadable(f"there is no folder {PACKAGE} beside the notebook")
        return PackageText(_modules(folder))
    except Unreadable as reason:
        return PackageText(reason=str(reason))
    except OSError as error:
        return PackageText(reason=f"{PACKAGE} cannot be read ({error.strerror})")


def _modules(folder: Path) -> dict[str, str]:
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if re.fullmatch(r"[A-Za-z_]\w*\.py", e.name, re.A))
    if len(names) > MAX_FILES:
        raise Unreadable(f"{PACKAGE} holds {len(names)} modules, more than {MAX_FILES}")
    found, left = {}, MAX_PACKAGE_BYTES
    for name in names:
        try:
            content = bytes_of(folder / name, MAX_MODULE_BYTES)
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable(f"{PACKAGE}/{name} is not text in UTF-8") from None
        except Unreadable as reason:
            raise Unreadable(f"{PACKAGE}/{name} cannot be read: {reason}") from None
        left -= len(content)
        if left < 0:
            raise Unreadable(f"{PACKAGE} holds more than {MAX_PACKAGE_BYTES:,} bytes of Python")
        found[name.removesuffix(".py")] = text
    return found


def bytes_of(path: Path, most: int) -> bytes:
    """The bytes of a regular file; links, folders, pipes and devices are not opened.

    Raises:
        Unreadable: it is none, or has more than `most` bytes.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        flags |= getattr(os, name, 0)  # not every system has each
    try:
        if path.is_symlink() or path.parent.is_symlink():
            raise Unreadable("it is a link, not a file")
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Unreadable("it is not a file")
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("it is not a file")
            content = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror})") from None
    if len(content) > most:
        size = f"{most // 2**20} MB" if most >= 2**20 else f"{most:,} bytes"
        raise Unreadable(f"it is larger than {size}")
    return content


def as_job(modules: dict[str, str], *, has_model: bool = True) -> dict:
    """What `observe.package` needs to run a package of these modules."""
    return {
        "sources": modules,
        "given": given_modules(),
        "borrow_from": BORROW_FROM,
        "absent": list(ABSENT),
        "has_model": has_model,
    }


@cache
def given_modules() -> dict[str, dict]:
    """For each module of the course, its components and the text of what it holds besides them."""
    given = {}
    for path in sorted(TRANSFORMER.glob("*.py")):
        module, names = path.stem, component_names(path.stem)
        source = given_source(module) if names else to_learner(module_source(module))
        given[module] = {"components": names, "source": source}
    return given


def our_package() -> dict[str, str]:
    """A package that borrows nothing: the finished modules, as a learner's."""
    return {path.stem: to_learner(module_source(path.stem)) for path in TRANSFORMER.glob("*.py")}
