"""What the class was given: frozen releases, and the one a submission is graded against.

`releases/<lesson>/<hash>/` under the course root holds the notebook as it was handed out, and
`release.json`. A lesson that changes later leaves it alone, so a running class is not disturbed.
Which of them count is the teacher's choice (`rules`), the newest one unless they say more.
Only what a component is worth has to be the same for all of a class, for nbgrader keeps one number
for it: it is worth what the newest release says, in whichever release it was answered.
"""

import copy
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ..did_you_mean import did_you_mean
from ..files import write_atomically
from ..lessons.exercises import lesson_names, notebook_path, prices
from . import GradingError, NotGraded
from .course import gradebook_url
from .failures import told
from .gradebook import register
from .records import read_json, write_json
from .version import checks_version

UNKNOWN = NOT_GRADED, NEWEST = "not graded", "newest"
_HASH = re.compile("[0-9a-f]{12}")


class NotCounted(NotGraded):
    """A submission of a release that does not count: it gets no score, and its class goes on."""


@dataclass(frozen=True)
class Release:
    """A lesson's notebook as a class receives it."""

    lesson: str
    hash: str
    notebook: Mapping
    number: int = 0  # which release of the lesson this is; 0 when it is not frozen
    checks: str = ""  # the version of the checks when it was frozen

    def said(self, root: Path) -> str:
        """Which one it is, for who grades with it."""
        if self.number:
            return f"release {self.hash} (number {self.number}) in {_folder(root, self.lesson)}"
        return f"as it stands ({self.hash}), for {_folder(root, self.lesson)} holds no release"


def release(lesson: str, root: Path) -> Release:
    """Freeze a lesson as it stands, and register it in the course's own gradebook.

    After this `nbgrader autograde LESSON` works at `root`. Releasing an unchanged lesson again
    changes nothing. What was released last is the newest release, an earlier one included. A
    notebook that somebody changed since it was built gets a hash of its own, where it lies: one
    hash is one notebook, with its points.

    Raises:
        GradingError: there is no such lesson, or the disk or the gradebook cannot be written.
    """
    with told("Release it again when there is room"):
        return _release(lesson, root)


def _release(lesson: str, root: Path) -> Release:
    newest, before = current(lesson, root), frozen(lesson, root)
    if any(old.hash == newest.hash and _text(old) != _text(newest) for old in before):
        newest = _renamed(newest, root)
    known = next((old for old in before if old.hash == newest.hash), None)
    if known is None or known is not before[-1]:
        number = 1 + max((old.number for old in before), default=0)
        known = Release(lesson, newest.hash, newest.notebook, number, checks_version())
        folder = _folder(root, lesson) / known.hash
        text = _notebook_file(lesson, root).read_text(encoding="utf-8")
        write_atomically(folder / f"{lesson}.ipynb", text)
        # Written last: a folder without it is no release.
        write_json(
            folder / "release.json",
            {"lesson": lesson, "hash": known.hash, "number": number, "checks": known.checks},
        )
    newest = choose(lesson, "", root)[0]
    register(gradebook_url(root), lesson, newest.notebook)
    return known


def _text(one: Release) -> str:
    """All of a notebook that its learners are given, but for its hash and what running it leaves.

    Jupyter writes other things into it when it is only opened: those do not count.
    """
    cells = [
        (cell["cell_type"], cell["source"], cell["metadata"].get("nbgrader"),
         cell["metadata"].get("course"))
        for cell in one.notebook["cells"]
    ]  # fmt: skip
    return json.dumps(cells, sort_keys=True)


def _renamed(changed: Release, root: Path) -> Release:
    """The notebook with a hash of what it holds now, which is written where it lies."""
    name = hashlib.sha256(_text(changed).encode()).hexdigest()[:12]
    notebook = copy.deepcopy(changed.notebook)
    notebook["metadata"]["course"]["release"] = name
    path = root / "exercises" / changed.lesson / f"{changed.lesson}.ipynb"
    write_atomically(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return current(changed.lesson, root)


def choose(
    lesson: str,
    wanted: str,
    root: Path,
    older: Collection[str] = (),
    unknown: str = NOT_GRADED,
) -> tuple[Release, str]:
    """The release to grade against, and a note when it is not the one that was asked for.

    Who hands in says which release it was, so that alone decides nothing: the newest one counts,
    and those that the teacher names.

    Args:
        older: the hashes of the releases that count beside the newest one.
        unknown: what becomes of a notebook that names a release which is not here, "not graded"
            or "newest". What cannot be the name of a release names none.

    Raises:
        NotCounted: it asks for one that was handed out, and that does not count.
    """
    known = frozen(lesson, root) or [current(lesson, root)]
    newest = known[-1]
    for old in known:
        if old.hash == wanted:
            if old is newest or old.hash in older:
                return _priced(old, prices(newest.notebook)), ""
            raise NotCounted(
                f"made for release {old.hash} (number {old.number} of "
                f"{newest.number}), which this class does not count. To count it: "
                f'c.ClassRules.older_releases = ["{old.hash}"] in nbgrader_config.py. '
                "Otherwise ask for the answers in the newest notebook"
            )
    if unknown == NOT_GRADED and _HASH.fullmatch(wanted):
        here = ", ".join(old.hash for old in known)
        raise NotCounted(
            f"made for release {wanted}, which is not in {_folder(root, lesson)} (there is "
            f"{here}). If the releases lie elsewhere, name the course's folder: --root. To grade "
            'such notebooks as the newest one: c.ClassRules.unknown_releases = "newest" in '
            "nbgrader_config.py"
        )
    asked = f"release {wanted[:16]!r}" if wanted else "no release"
    return newest, f"the file names {asked}; graded as {newest.hash}, the newest one"


def _priced(old: Release, worth: Mapping[str, float]) -> Release:
    """A release with the newest one's points: none for what that no longer asks for."""
    if prices(old.notebook) == worth:
        return old
    notebook = copy.deepcopy(old.notebook)
    for cell in notebook["cells"]:
        if cell["metadata"].get("course", {}).get("role") == "check":
            about = cell["metadata"]["nbgrader"]
            about["points"] = worth.get(about["grade_id"], 0.0)
    return replace(old, notebook=notebook)


def frozen(lesson: str, root: Path) -> list[Release]:
    """The frozen releases of a lesson, oldest first."""
    found = []
    for path in _folder(root, lesson).glob("*/release.json"):
        record = read_json(path)
        if record.get("hash") == path.parent.name:
            notebook = _read(path.parent / f"{lesson}.ipynb")
            found.append(
                Release(lesson, record["hash"], notebook, record["number"], record["checks"])
            )
    return sorted(found, key=lambda old: old.number)


def current(lesson: str, root: Path) -> Release:
    """The lesson as it stands in `exercises/`."""
    notebook = _read(_notebook_file(lesson, root))
    return Release(lesson, notebook["metadata"]["course"]["release"], notebook)


def known_lesson(lesson: str) -> str:
    """`lesson`, if there is one of that name.

    Raises:
        GradingError: there is none; the text suggests the nearest.
    """
    known = lesson_names()
    if lesson in known:
        return lesson
    raise GradingError(f"no lesson is called {lesson!r}. {did_you_mean(lesson, known)}")


def _notebook_file(lesson: str, root: Path) -> Path:
    known_lesson(lesson)
    here = root / "exercises" / lesson / f"{lesson}.ipynb"
    return here if here.is_file() else Path(notebook_path(lesson))


def _folder(root: Path, lesson: str) -> Path:
    return root / "releases" / lesson


def _read(path: Path) -> dict:
    return _read_once(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read_once(path: Path, changed: int) -> dict:
    """A notebook of ours, read again only when the file has changed; nobody writes into it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook
