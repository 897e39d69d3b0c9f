"""Which file of a student's folder is the notebook: the one of its name, or the only one there is.

Browsers and platforms rename what they save: `02_self_attention (1).ipynb`, `.IPYNB`.
"""

import os
from pathlib import Path


def notebook_in(folder: Path, lesson: str) -> Path:
    """The notebook of `lesson` in a student's folder; where it would be, if there is none."""
    expected = folder / f"{lesson}.ipynb"
    if os.path.lexists(expected):
        return expected
    others = notebooks_in(folder)
    return folder / others[0] if len(others) == 1 else expected


def notebooks_in(folder: Path) -> list[str]:
    """The names of the notebooks in a folder, in order. What a link leads to is not looked at."""
    try:
        names = [] if folder.is_symlink() or folder.parent.is_symlink() else os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name.lower().endswith(".ipynb"))


def note_of(path: Path, lesson: str) -> str:
    """A word about a file of another name."""
    return "" if path.name == f"{lesson}.ipynb" else f"handed in as {path.name}"
