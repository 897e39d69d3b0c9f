"""A lesson's MyST text as a list of cells."""

from dataclasses import dataclass, field
from pathlib import Path

import jupytext


class LessonError(ValueError):
    """A lesson's text does not follow the rules of CONTRIBUTING.md; says where and what to do."""


@dataclass(frozen=True)
class Cell:
    """One cell: Markdown, or code with the options its author gave."""

    kind: str  # "markdown" or "code"
    source: str
    options: dict = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        return self.options.get("tags", [])

    @property
    def component(self) -> tuple[str, str] | None:
        """`(module, name)` of an exercise's import line; None for other cells."""
        name = self.options.get("solve")
        if name is None:
            return None
        prefix, _, imported = self.source.strip().partition(" import ")
        module = prefix.removeprefix("from course_lib.transformer.")
        if imported.strip() != name or module == prefix or "." in module:
            raise LessonError(
                f"an exercise must be `from course_lib.transformer.<module> import {name}`, "
                f"got {self.source.strip()!r}."
            )
        return module, name


def read_lesson(path: Path) -> list[Cell]:
    """The cells of a lesson, in order."""
    notebook = jupytext.read(path, fmt="md:myst")
    return [Cell(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def lesson_texts(book: Path) -> list[Path]:
    """The lessons of the book, in order: `NN_topic.md`."""
    return sorted(path for path in book.glob("[0-9][0-9]_*.md"))
