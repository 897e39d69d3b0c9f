"""Work that lies somewhere else than where a submission is looked for.

A platform's download, taken as it comes, is full of notebooks and has none in its place. Who is in
it has not handed nothing in, so nobody there gets a zero for it: where no work of a class lies in
its place, it is not graded at all, and where one student's does not, that student has no score.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..lessons.exercises import lesson_names
from ..own_files import Unreadable, lies_there, names_in, shown
from . import GradingError
from .file_names import notebook_in

PLACE = "STUDENT/LESSON/LESSON.ipynb"
WORK = (".ipynb", ".zip")  # what a student's work may look like
_DEPTH = 3  # of folders below a student's that are looked into
_MOST_LOOKS = 1000  # at names in one student's folder
_MOST_SHOWN = 3


def strays_of(folder: Path) -> dict[str, list[str]]:
    """A student's notebooks and archives that lie in no lesson's place, by lesson.

    The lesson is the one that the file's name says, or its folder's. A file that says none stands
    under "", and only where its student has no lesson's folder. Of a lesson whose notebook lies in
    its place nothing is a stray.

    Args:
        folder: `SUBMITTED/STUDENT`.
    """
    lessons = lesson_names()
    found: dict[str, list[str]] = {}
    for path in _work_in(folder):
        above = "" if path.parent == folder else path.parent.name
        said = _said_by(path.name, lessons) or _said_by(above, lessons)
        found.setdefault(said, []).append(shown(str(path.relative_to(folder))))
    if "" in found and any(lies_there(folder / each, top=folder.parent) for each in lessons):
        del found[""]
    return {said: names for said, names in found.items() if not (said and is_there(folder, said))}


def is_there(folder: Path, lesson: str) -> bool:
    """Whether a student's work for a lesson lies in its place, readable or not."""
    return lies_there(notebook_in(folder / lesson, lesson), top=folder.parent)


def astray(folder: Path, lesson: str) -> str:
    """What lies there of a student's work for a lesson, if only in a wrong place; else empty."""
    if is_there(folder, lesson):
        return ""
    strays = strays_of(folder)
    names = [*strays.get(lesson, ()), *strays.get("", ())]
    if not names:
        return ""
    which = "which of these it is, is not clear" if len(names) > 1 else "there is another file"
    return f"nothing lies at {lesson}/{lesson}.ipynb, and {which}: {_some(names)}"


def of_no_lesson_here(folders: Mapping[str, Path], lessons: Iterable[str]) -> list[str]:
    """What lies in a wrong place and is of a lesson that is not graded, a sentence for each."""
    return [
        f"{student}: {_some(names)} lies in no lesson's place; it would be at {said}/{said}.ipynb"
        for student, folder in folders.items()
        for said, names in strays_of(folder).items()
        if said and said not in lessons
    ]


def beside(submitted: Path) -> list[str]:
    """What lies beside the students' folders and may be somebody's work, a sentence for each."""
    files = (each for each in submitted.iterdir() if not (each.is_symlink() or each.is_dir()))
    names = sorted(shown(each.name) for each in files if _is_work(each.name))
    return [f"{_some(names)} in {submitted} is in no student's folder"] if names else []


def check_layout(submitted: Path, folders: Mapping[str, Path], lessons: Iterable[str]) -> None:
    """See that some of a class's work lies in its place, if there is any.

    Raises:
        GradingError: there is work, and none of it lies where it is looked for.
    """
    each_one = ((folder, lesson) for lesson in lessons for folder in folders.values())
    if any(is_there(folder, lesson) for folder, lesson in each_one):
        return
    names = [
        f"{shown(folder.name)}/{name}"
        for folder in folders.values()
        for strays in strays_of(folder).values()
        for name in strays
    ]
    if not names:
        return
    is_turned = any(folder.name in lesson_names() for folder in folders.values())
    turned = " Here lessons come first: students must, with lessons in their folders."
    raise GradingError(
        f"nothing in {submitted} lies where a submission is looked for, at {PLACE}, but there is "
        f"{_some(names)}.{turned if is_turned else ''} Nothing was graded: give each student a "
        "folder, and in it one for each lesson, with the notebook"
    )


def _work_in(folder: Path, depth: int = _DEPTH) -> list[Path]:
    found, looks = [], 0
    folders = [(folder, depth)]
    while folders:
        here, left = folders.pop(0)
        try:
            names = names_in(here, top=folder.parent)
        except Unreadable:  # a file, a link, or what nobody may enter
            continue
        for name in names:
            if name.startswith((".", "__MACOSX")):
                continue
            looks += 1
            if looks > _MOST_LOOKS:
                return found
            if _is_work(name):
                found.append(here / name)
            elif left > 1:
                folders.append((here / name, left - 1))
    return found


def _is_work(name: str) -> bool:
    return name.lower().endswith(WORK)


def _said_by(name: str, lessons: list[str]) -> str:
    return next((each for each in lessons if each in name.lower()), "")


def _some(names: list[str]) -> str:
    more = f", and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more
