"""`course update`: newer lessons, cell by cell, and never a word of the learner's lost.

Three versions of each cell meet: as it was handed out, as it stands in the learner's notebook, and
as the course has it now. A cell that the learner left alone becomes the new one; one that they
changed stays theirs, and is named where the course has changed it too. What lies in the course's
own cells (locked) is always the new one. Their own cells stay where they are.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.lessons.exercises import lesson_names, read_notebook
from course_lib.lessons.links import side_by_side

from .folder import WorkspaceError, cannot_write
from .saved_notebook import read_saved, source_of

HANDED_OUT = Path(".course") / "handed-out"  # the notebooks as the learner got them
BEFORE = Path(".course") / "before-update"


@dataclass
class Updated:
    """What became of one notebook."""

    lesson: str
    is_new: bool = False  # the lesson was not there
    kept: list[str] = field(default_factory=list)  # cells that both sides had changed: theirs
    copy: Path | None = None  # where the notebook lies as it was before

    @property
    def text(self) -> str:
        if self.is_new:
            return f"{self.lesson}: added."
        text = f"{self.lesson}: brought up to date; as it was before: {self.copy.as_posix()}"
        if self.kept:
            text += (
                f"\n  yours was kept where the course has changed too: {', '.join(self.kept)}"
                f"\n  as the course has them now: {(HANDED_OUT / self.lesson).as_posix()}.ipynb"
            )
        return text


def handed_out(lesson: str) -> dict:
    """A lesson's notebook as a learner's folder gets it."""
    return side_by_side(read_notebook(lesson), there=lesson_names())


def written(notebook: dict) -> str:
    """A notebook's text, as this course writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def update(workspace: Path) -> list[Updated]:
    """Bring every notebook of the workspace up to date. What is up to date is not touched.

    Raises:
        WorkspaceError: a notebook cannot be read or written; those before it are done.
    """
    return [done for lesson in lesson_names() if (done := _update(workspace, lesson))]


def _update(workspace: Path, lesson: str) -> Updated | None:
    path, base_path = workspace / f"{lesson}.ipynb", workspace / HANDED_OUT / f"{lesson}.ipynb"
    new = handed_out(lesson)
    try:
        if not path.exists():
            write_atomically(base_path, written(new))
            write_atomically(path, written(new))
            return Updated(lesson, is_new=True)
        theirs = read_saved(path)
        if theirs["metadata"].get("course") == new["metadata"]["course"]:
            return None
        base = read_saved(base_path) if base_path.exists() else None
        if not {cell.get("id") for cell in theirs["cells"]} & {c["id"] for c in new["cells"]}:
            raise WorkspaceError(
                f"{path.name} cannot be brought up to date: its cells have lost their ids, so "
                "nobody can tell which is which. Rename it, run this again for a new one, and copy "
                "your answers over."
            )
        merged, kept = merge(base, theirs, new)
        copy = _free(workspace / BEFORE, lesson)
        write_atomically(copy, path.read_bytes())
        write_atomically(path, json.dumps(merged, ensure_ascii=False, indent=1) + "\n")
        write_atomically(base_path, written(new))
    except OSError as error:
        raise cannot_write(error, path) from None
    return Updated(lesson, kept=kept, copy=copy.relative_to(workspace))


def merge(base: dict | None, theirs: dict, new: dict) -> tuple[dict, list[str]]:
    """Their notebook brought up to `new`, and the ids of cells that both sides have changed.

    Args:
        base: the notebook as it was handed out; None if nobody knows: then all of theirs that
            differs from `new` counts as changed by them.
    """
    before = {cell["id"]: cell for cell in (base or {"cells": []})["cells"]}
    ours = {cell["id"]: cell for cell in new["cells"]}
    cells, kept = [], []
    followers = _their_own(theirs, known={*before, *ours})
    mine: dict[str | None, dict] = {}
    for cell in theirs["cells"]:
        mine.setdefault(cell.get("id"), cell)  # of two with one id the second is their own
    cells += followers.get(None, [])
    gone = [name for name in mine if name in before and name not in ours]
    for name, cell in ours.items():
        if not _was_thrown_away(before.get(name), mine.get(name), cell):
            cells.append(_merged(before.get(name), mine.get(name), cell, kept))
        cells += followers.get(name, [])
    for name in gone:  # the course has dropped it: theirs stays if they have made it theirs
        if _source(mine[name]) != _source(before[name]):
            cells.append(_unlocked(mine[name]))
            kept.append(name)
        cells += followers.get(name, [])
    merged = theirs | {"cells": cells, "metadata": theirs["metadata"] | new["metadata"]}
    return merged, kept


def _was_thrown_away(base: dict | None, theirs: dict | None, new: dict) -> bool:
    """Has the learner deleted a cell that is no other now than it was?"""
    return theirs is None and base is not None and _source(base) == _source(new)


def _merged(base: dict | None, theirs: dict | None, new: dict, kept: list[str]) -> dict:
    if theirs is None:
        return new
    outputs = {key: theirs[key] for key in ("outputs", "execution_count") if key in theirs}
    is_locked = new["metadata"].get("nbgrader", {}).get("locked", False)
    if _source(theirs) == _source(new):
        return new | outputs
    if is_locked or (base is not None and _source(theirs) == _source(base)):
        return new
    if base is None or _source(base) != _source(new):
        kept.append(new["id"])
    return new | outputs | {"source": theirs["source"]}


def _their_own(theirs: dict, known: set[str]) -> dict[str | None, list[dict]]:
    """Cells that the learner has added, by the id of the cell of ours that they follow.

    So is the second of two with one id: a copy, as some editors make them.
    """
    found, last, met = {}, None, set()
    for cell in theirs["cells"]:
        if cell.get("id") in known - met:
            last = cell["id"]
            met.add(last)
        else:
            found.setdefault(last, []).append(cell)
    return found


def _unlocked(cell: dict) -> dict:
    """A cell that the course no longer has, as a cell of the learner's own."""
    return cell | {"metadata": {}}


def _source(cell: dict) -> str:
    return source_of(cell).strip()


def _free(folder: Path, lesson: str) -> Path:
    number = 1
    while (path := folder / f"{lesson}-{number:04}.ipynb").exists():
        number += 1
    return path
