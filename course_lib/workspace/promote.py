"""Write a solution that passed into the learner's package, and lose nothing on the way.

The module is replaced in one step, by a file that was complete before; the section that it
replaces is kept under `my_transformer/.history`; two notebooks that write at once take turns.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from course_lib.files import write_atomically

from .borrow import PACKAGE, borrowing_text, our_path
from .folder import WorkspaceError, cannot_write
from .importing import describe, module_file, package_of, reload_from
from .reading import definitions
from .sections import find_section, section_source, with_section, without_marks

try:
    import fcntl
except ModuleNotFoundError:  # Windows: promotions do not take turns there
    fcntl = None

HISTORY = ".history"


@dataclass(frozen=True)
class Promotion:
    """What a promotion did."""

    module_file: Path
    is_new: bool  # False: the very same text stood there already, and nothing was written
    kept: Path | None = None  # where the version before this one is
    note: str = ""  # what the learner should know about it


def promote(workspace: Path, component: str, module: str, cell_source: str) -> Promotion:
    """Make a solution cell the section of `component` in `my_transformer/<module>.py`.

    Only that section changes. Where the package is loaded in this process, the module and those
    that import it run again, so that they see the new part.

    Raises:
        WorkspaceError: with this cell the module could not be imported, or it cannot be read or
            written. The module is then as it was before.
    """
    source = for_the_package(cell_source, component)
    path = module_file(workspace, module)
    try:
        with taking_turns(workspace), package_of(workspace) as is_live:
            before = _read(path, module)
            if section_source(before, component) == source:
                return Promotion(path, is_new=False)
            order = list(definitions(our_path(module).read_bytes()))
            after = with_section(before, component, source, order)
            _try_import(path, module, after)
            kept = into_history(workspace, component, section_source(before, component))
            if _read(path, module) != before:
                raise WorkspaceError(f"{path.name} changed at this very moment: check once more")
            write_atomically(path, after)
            note = _overridden(after, component)
            if is_live:
                note = note or _reload(workspace, module)
    except OSError as error:
        raise cannot_write(error, path) from None
    return Promotion(path, is_new=True, kept=kept, note=note)


def for_the_package(cell_source: str, component: str) -> str:
    """The cell as it will stand in the module."""
    source = without_marks(cell_source.replace("\r\n", "\n").replace("\r", "\n"), component)
    source = re.sub(r"\bcourse_lib\.transformer\b", PACKAGE, source)
    marks = [line for line in source.split("\n") if re.match(r"# (%%|end of) \w+\s*$", line)]
    if marks:
        raise WorkspaceError(
            f"a cell must hold no line that divides a module, got {marks[0].rstrip()!r}: delete it"
        )
    return source


def _read(path: Path, module: str) -> str:
    """The module's text; where there is no file yet (the lesson is new), a borrowing one."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return borrowing_text(module)
    except UnicodeDecodeError as error:
        raise WorkspaceError(
            f"{path.name} must be UTF-8 text, got byte 0x{error.object[error.start]:02x} "
            f"at position {error.start}: save it as UTF-8"
        ) from None


def _try_import(path: Path, module: str, text: str) -> None:
    """Run the module as it would become, in a namespace that is thrown away."""
    name = f"{PACKAGE}.{module}"
    trial = ModuleType(name)
    trial.__package__, trial.__file__ = PACKAGE, str(path)
    loaded = sys.modules.get(name)
    try:
        code = compile(text.encode("utf-8"), str(path), "exec", dont_inherit=True)
        sys.modules[name] = trial
        exec(code, trial.__dict__)
    except (Exception, SystemExit) as error:
        raise WorkspaceError(
            f"with it {path.name} could not be imported: {describe(error)}"
        ) from error
    finally:
        sys.modules.pop(name, None)
        if loaded is not None:
            sys.modules[name] = loaded


def into_history(workspace: Path, component: str, source: str | None) -> Path | None:
    """Put a text that is about to be replaced into the history; where it lies now."""
    if source is None:
        return None
    folder = workspace / PACKAGE / HISTORY
    folder.mkdir(exist_ok=True)
    number = 1
    while True:
        path = folder / f"{component}-{number:04}.py"
        try:
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                file.write(source + "\n")
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            number += 1
        else:
            return path


@contextlib.contextmanager
def taking_turns(workspace: Path) -> Iterator[None]:
    """Wait until no other notebook is writing into this package."""
    (workspace / PACKAGE).mkdir(exist_ok=True)
    if fcntl is None:
        yield
        return
    with open(workspace / PACKAGE / ".lock", "a") as lock:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _overridden(text: str, component: str) -> str:
    """A word about a definition by hand below the section, which is the one that counts."""
    line = definitions(text.encode("utf-8"))[component]
    if line <= find_section(text, component).stop:
        return ""
    return f"line {line} of that file defines {component} again, and that is the one that counts"


def _reload(workspace: Path, module: str) -> str:
    """Let what is loaded see the new part; what is in the way, if anything, in words."""
    try:
        reload_from(workspace, module)
    except (Exception, SystemExit) as error:
        return f"restart the kernel to use it: running the package again raised {describe(error)}"
    return ""
