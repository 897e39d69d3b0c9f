"""Build `solutions/` and `exercises/` from the lessons' text. A second build changes no byte."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

from .notebook import source_notebook
from .text import lesson_texts, of_file, read_lesson


def build(root: Path, say: Callable[[str], None] = print) -> list[Path]:
    """Write both notebooks of every lesson; notebooks of lessons that are gone are removed.

    Returns:
        The files whose bytes changed.
    """
    folder = root / "book"
    lessons = [path.stem for path in lesson_texts(folder)]
    book, changed = book_address(folder), []
    for path in lesson_texts(folder):
        with of_file(path):
            cells = read_lesson(path)
            solution = source_notebook(path.stem, cells, lessons, folder=folder, book=book)
        for folder, notebook in (("solutions", solution), ("exercises", release(solution))):
            target = root / folder / path.stem / f"{path.stem}.ipynb"
            if _write(target, nbformat.writes(notebook, version=4) + "\n"):
                changed.append(target)
        say(f"{path.stem}: solutions and exercises are built")
    for folder in ("solutions", "exercises"):
        for stale in sorted((root / folder).glob("*/*.ipynb")):
            if stale.parent.name not in lessons:
                stale.unlink()
                changed.append(stale)
    return changed


def book_address(folder: Path) -> str:
    """Where the book is published, as its `_config.yml` says; "" while it says nothing."""
    file = folder / "_config.yml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return settings.get("html", {}).get("baseurl") or ""


def release(solution):
    """The notebook that learners get, by nbgrader's own steps but the one that needs a gradebook.

    A test compares it with what `nbgrader generate_assignment` writes.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import SaveCells

    notebook, resources = nbformat.from_dict(solution), {"unique_key": "", "output_files_dir": ""}
    for step in GenerateAssignment.preprocessors.default_args[0]:
        if step is not SaveCells:
            notebook, resources = step().preprocess(notebook, resources)
    return notebook


def _write(path: Path, text: str) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True
