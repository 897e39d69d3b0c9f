"""`course submit`: a lesson as one archive that `course grade` reads, and a receipt for it."""

import hashlib
import io
import zipfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.lessons.exercises import read_exercises, read_notebook, read_package_checks
from course_lib.lessons.package_text import PACKAGE, definitions, read_package

from .folder import WorkspaceError, cannot_write
from .next_step import Lesson, lessons
from .saved_notebook import read_saved, source_of

FOLDER = "submitted"


@dataclass(frozen=True)
class Receipt:
    """What was put into an archive. `sha256` is that of the archive's bytes."""

    lesson: str
    archive: Path
    sha256: str
    made_at: str  # ISO 8601, with the offset from UTC
    files: tuple[str, ...]
    unanswered: tuple[str, ...]  # components that nothing handed in defines
    unchecked: tuple[str, ...]  # answered, and in no version that a check found right

    def as_dict(self) -> dict:
        return asdict(self) | {"archive": str(self.archive)}

    def text(self, workspace: Path) -> str:
        """What the learner reads, and keeps beside the archive."""
        lines = []
        if self.unanswered:
            lines.append(f"Not answered: {', '.join(self.unanswered)}")
        if self.unchecked:
            lines.append(f"Answered, and not found right yet: {', '.join(self.unchecked)}")
        lines += [
            f"Hand in:  {self.archive.relative_to(workspace).as_posix()}",
            f"Holds:    {', '.join(self.files)}",
            f"Made:     {self.made_at}",
            f"SHA-256:  {self.sha256}",
        ]
        return "\n".join(lines)


def submit(workspace: Path, lesson: str, *, now: datetime | None = None) -> Receipt:
    """Pack the notebook of `lesson`, saved as it is now, into an archive of its own.

    The capstone takes the learner's package along. An earlier archive stays where it is.

    Raises:
        WorkspaceError: there is no such notebook, it cannot be read, or nothing can be written.
    """
    made_at = (now or datetime.now().astimezone()).isoformat(timespec="seconds")
    (about,) = (one for one in lessons(workspace) if one.name == lesson)
    try:
        notebook = _notebook(workspace, lesson)
        files = {f"{lesson}/{lesson}.ipynb": (workspace / f"{lesson}.ipynb").read_bytes()}
        if read_package_checks(read_notebook(lesson)):
            files |= _package(workspace, lesson)
        content = _zip(files)
        archive = _place(workspace, lesson, made_at)
        unanswered, unchecked = _unfinished(about, notebook)
        receipt = Receipt(
            lesson=lesson,
            archive=archive,
            sha256=hashlib.sha256(content).hexdigest(),
            made_at=made_at,
            files=tuple(files),
            unanswered=unanswered,
            unchecked=unchecked,
        )
        write_atomically(archive, content)
        write_atomically(archive.with_suffix(".txt"), receipt.text(workspace) + "\n")
    except OSError as error:
        raise cannot_write(error, workspace / FOLDER) from None
    return receipt


def _notebook(workspace: Path, lesson: str) -> dict:
    path = workspace / f"{lesson}.ipynb"
    if not path.exists():
        raise WorkspaceError(f"{path} is not there, so there is nothing to hand in")
    return read_saved(path)


def _package(workspace: Path, lesson: str) -> dict[str, bytes]:
    package = read_package(workspace / PACKAGE)
    if package.reason:
        raise WorkspaceError(package.reason)
    texts = package.modules.items()
    return {f"{lesson}/{PACKAGE}/{name}.py": text.encode() for name, text in texts}


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _place(workspace: Path, lesson: str, made_at: str) -> Path:
    """A name that is free: nothing that was handed in is written over."""
    moment = made_at[:19].replace(":", "-").replace("T", "-")
    name = f"{lesson}-{moment}"
    taken = {path.stem for path in (workspace / FOLDER).glob(f"{name}*.zip")}
    number = 1
    while (free := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return workspace / FOLDER / f"{free}.zip"


def _unfinished(lesson: Lesson, notebook: dict) -> tuple[tuple[str, ...], ...]:
    """Of its components: those that are not answered, and those that are, but were never right."""
    open_parts = [row.component for row in lesson.parts if row not in lesson.done]
    if any(row.module == "" for row in lesson.parts):  # judged by the package alone
        return (), tuple(open_parts)
    stubs = {e.component: e.stub.strip() for e in read_exercises(read_notebook(lesson.name))}
    sources = [source_of(c) for c in notebook["cells"] if c.get("cell_type") == "code"]
    answered = {name for name, stub in stubs.items() if _is_answered(name, stub, sources)}
    unanswered = tuple(name for name in stubs if name not in answered)
    return unanswered, tuple(name for name in open_parts if name in answered)


def _is_answered(name: str, stub: str, sources: list[str]) -> bool:
    return any(source.strip() != stub and _defines(source, name) for source in sources)


def _defines(source: str, name: str) -> bool:
    try:
        return name in definitions(source)
    except (SyntaxError, ValueError):  # a magic, or a mistake: where the name stands, they tried
        return name in source
