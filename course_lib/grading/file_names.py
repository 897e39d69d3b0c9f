"""Which file of a student's folder is the notebook: the one of its name, or the only one there is.

Browsers and platforms rename what they save: `02_self_attention (1).ipynb`, `.IPYNB`.
"""

from pathlib import Path

from ..own_files import Unreadable, lies_there, names_in, shown


def notebook_in(folder: Path, lesson: str) -> Path:
    """The notebook in `SUBMITTED/STUDENT/LESSON`; where it would be, if there is none."""
    expected = folder / f"{lesson}.ipynb"
    if lies_there(expected, top=folder.parents[1]):
        return expected
    others = notebooks_in(folder)
    return folder / others[0] if len(others) == 1 else expected


def notebooks_in(folder: Path) -> list[str]:
    """The names of the notebooks in `SUBMITTED/STUDENT/LESSON`, in order."""
    try:
        names = names_in(folder, top=folder.parents[1])
    except Unreadable:
        return []
    return [name for name in names if name.lower().endswith(".ipynb")]


def note_of(path: Path, lesson: str) -> str:
    """A word about a file of another name."""
    return "" if path.name == f"{lesson}.ipynb" else f"handed in as {shown(path.name)}"
