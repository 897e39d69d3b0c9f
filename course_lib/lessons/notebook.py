"""A lesson's cells as nbgrader's source notebook: the solution, ready for the release steps."""

import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .addresses import exercise_anchor
from .images import attached
from .links import standing_alone, with_links
from .prose import to_markdown
from .source import component_source, given_source, to_learner, with_solution_markers
from .text import Cell, LessonError, below

OPENING = """\
# Run this cell first. It stays as it is.
import sys

try:
    from course_lib.workspace.notebook import open_lesson
except ModuleNotFoundError as missing:
    package = "torch" if missing.name == "torch" else "build-a-transformer[learn]"
    raise ModuleNotFoundError(
        f"{{missing.name}} is not installed in this notebook's kernel, {{sys.executable}}. "
        f'Install it there with:  "{{sys.executable}}" -m pip install "{{package}}"'
    ) from None

check = open_lesson("{lesson}")"""


def source_notebook(
    lesson: str, cells: list[Cell], lessons: list[str], *, folder: Path, book: str = ""
):
    """The notebook of `lesson` with its solutions, between nbgrader's markers.

    Args:
        cells: the lesson's text.
        lessons: names of all lessons, for links between them.
        folder: where the text lies, for its images.
        book: where the book is published, for links to its pages.
    """
    builder = _Builder(lesson, lessons, folder, book)
    for cell in cells:
        with below(cell.line - 1):
            builder.add(cell)
    with below(cells[-1].line - 1 if cells else 0):
        builder.finish()
    notebook = new_notebook(cells=builder.cells)
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(
        {
            "course": {"lesson": lesson, "release": _digest(builder.cells)},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


class _Builder:
    """Adds one cell after the other; knows which exercise still waits for its check."""

    def __init__(self, lesson: str, lessons: list[str], folder: Path, book: str):
        self.lesson, self.lessons, self.folder, self.book = lesson, lessons, folder, book
        self.cells, self.modules, self.unchecked = [], [], None
        self.counts = {}

    def add(self, cell: Cell) -> None:
        if cell.kind == "markdown":
            self._text(to_markdown(cell.source, self.lessons, self.book))
        elif "setup" in cell.tags:
            opening = OPENING.format(lesson=self.lesson)
            self._locked(opening, "opening", {"role": "opening"})
        elif cell.component:
            self._exercise(cell)
        elif "points" in cell.options:
            self._check(cell)
        elif "demo" in cell.tags:
            code = new_code_cell(to_learner(cell.source))
            self._append(code, self._id("demo"), {"course": {"role": "demo"}})
        else:
            raise LessonError(
                "every code cell must be a setup, an exercise, its check or tagged demo, "
                f"got {cell.source.splitlines()[:1]}."
            )

    def finish(self) -> None:
        if self.unchecked:
            raise LessonError(f"the exercise {self.unchecked} has no check before this.")

    def _text(self, text: str) -> None:
        if not text:
            return
        alone, links = standing_alone(text, self.book)
        if with_links(alone, links) != text:
            raise LessonError(
                "a reference must be the first place in its cell that says its words, counted "
                f"from the reference before; in {self.lesson} one of these is not: "
                f"{', '.join(links)}. Say the earlier place in other words, or link it instead."
            )
        alone, attachments = attached(alone, self.folder)
        cell = new_markdown_cell(alone)
        if attachments:
            cell["attachments"] = attachments
        about = {"course": {"role": "text", "links": links}} if links else {}
        self._append(cell, self._id("text"), about)

    def _exercise(self, cell: Cell) -> None:
        self.finish()
        module, name = cell.component
        about = cell.about
        if module not in self.modules:
            self.modules.append(module)
            self._locked(
                given_source(module), f"setup-{module}", {"role": "setup", "module": module}
            )
        self._append(new_markdown_cell(_exercise_text(name, about)), f"exercise-{name}")
        source = to_learner(component_source(module, name))
        answer = new_code_cell(with_solution_markers(source, about["sentence"], cell.given))
        course = {"role": "answer", "component": name, "module": module, **about}
        self._append(answer, name, _nbgrader(name, solution=True) | {"course": course})
        self.unchecked = name

    def _check(self, cell: Cell) -> None:
        whole = re.fullmatch(
            r'check\("(\w+)", package="course_lib.transformer"\)', cell.source.strip()
        )
        if whole and not self.unchecked:
            self._check_cell(cell, whole[1], {"of": "package"})
            return
        if cell.source.strip() != f"check({self.unchecked})":
            raise LessonError(
                f"the check after the exercise {self.unchecked} must be "
                f"check({self.unchecked}), got {cell.source.strip()!r}."
            )
        self._check_cell(cell, self.unchecked, {})
        self.unchecked = None

    def _check_cell(self, cell: Cell, name: str, about: dict) -> None:
        metadata = _nbgrader(f"check-{name}", grade=True, locked=True)
        metadata["nbgrader"]["points"] = cell.options["points"]
        metadata["course"] = {"role": "check", "component": name, **about}
        self._append(new_code_cell(to_learner(cell.source)), f"check-{name}", metadata)

    def _locked(self, source: str, name: str, course: dict) -> None:
        metadata = _nbgrader(name, locked=True) | {"course": course}
        self._append(new_code_cell(source), name, metadata)

    def _append(self, cell, name: str, metadata: dict | None = None) -> None:
        cell["id"] = name.replace("_", "-")
        cell["metadata"] = nbformat.from_dict(metadata or {})
        self.cells.append(cell)

    def _id(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}-{self.counts[kind]:02d}"


def _exercise_text(name: str, about: dict) -> str:
    dots = {n: "●" * n + "○" * (5 - n) for n in range(6)}
    lines = [
        f'<a id="{exercise_anchor(name)}"></a>'  # where a card leads to
        f"**Exercise: `{name}`** · about {about['minutes']} minutes · "
        f"difficulty {dots[about['difficulty']]} · importance {dots[about['importance']]}",
    ]
    for number, hint in enumerate(about["hints"], start=1):
        lines += ["", f"<details><summary>Hint {number}</summary>", "", hint, "", "</details>"]
    return "\n".join(lines)


def _nbgrader(name: str, *, grade=False, solution=False, locked=False) -> dict:
    return {
        "nbgrader": {
            "grade": grade,
            "grade_id": name,
            "locked": locked,
            "schema_version": 3,
            "solution": solution,
            "task": False,
        }
    }


def _digest(cells: list) -> str:
    text = json.dumps([dict(cell) for cell in cells], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
