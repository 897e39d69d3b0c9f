"""A lesson's MyST text as a list of cells: the one place where it is taken apart."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What an exercise may say about itself, with what holds where it does not.
ABOUT = {"minutes": 10, "difficulty": 2, "importance": 3, "sentence": "", "hints": []}
_OF_AN_EXERCISE = {*ABOUT, "solve", "given"}


class LessonError(ValueError):
    """A lesson's text does not follow the rules of CONTRIBUTING.md; says where and what to do.

    Args:
        rule: the rule, what was found, and what to do.
        line: where, counted from 1 within the text at hand. Who knows more puts it in its place
            with `below` and `of_file`.
    """

    def __init__(self, rule: str, line: int = 1):
        super().__init__(rule)
        self.rule, self.line, self.file = rule, line, None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}" if self.file else self.rule


@contextlib.contextmanager
def below(n_lines: int) -> Iterator[None]:
    """What is read inside begins below so many lines of a longer text."""
    try:
        yield
    except LessonError as error:
        error.line += n_lines
        raise


@contextlib.contextmanager
def of_file(path: Path) -> Iterator[None]:
    """What is read inside is the text of this file: errors name it as `book/03_topic.md:214`."""
    try:
        yield
    except LessonError as error:
        path = path.resolve()
        error.file = error.file or f"{path.parent.name}/{path.name}"
        raise


@dataclass(frozen=True)
class Cell:
    """One cell: Markdown, or code with the options its author gave."""

    kind: str  # "markdown" or "code"
    source: str
    options: dict = field(default_factory=dict)
    line: int = 1  # where it begins in its file: with its first words, or with its fence

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

    @property
    def about(self) -> dict:
        """What an exercise says about itself: every key of `ABOUT`."""
        unknown = sorted(self.options.keys() - _OF_AN_EXERCISE)
        if unknown:
            raise LessonError(
                f"an exercise may have the options {', '.join(sorted(_OF_AN_EXERCISE))}, "
                f"got {', '.join(unknown)}."
            )
        return {key: self.options.get(key, usual) for key, usual in ABOUT.items()}

    @property
    def given(self) -> tuple[str, ...]:
        """The methods of an exercise that learners are given."""
        return tuple(self.options.get("given", ()))


def read_lesson(path: Path) -> list[Cell]:
    """The cells of a lesson, in order."""
    with of_file(path):
        return read_cells(path.read_text(encoding="utf-8"))


def read_cells(text: str) -> list[Cell]:
    """The cells of a lesson's text, in order, as Jupyter Book takes it apart."""
    from jupytext.myst import MystMetadataParsingError, myst_to_notebook

    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except MystMetadataParsingError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise LessonError(f"{error}.", int(line[1]) if line else 1) from None
    lines, cells = text.splitlines(), []
    for cell, line in zip(notebook.cells, notebook.metadata["source_map"], strict=True):
        if cell.cell_type == "markdown":  # its line is the one above it, and blank ones may follow
            line += 1
            while not lines[line - 1].strip():
                line += 1
        cells.append(Cell(cell.cell_type, cell.source, dict(cell.metadata), line))
    return cells


def lesson_texts(book: Path) -> list[Path]:
    """The lessons of the book, in order: `NN_topic.md`."""
    return sorted(path for path in book.glob("[0-9][0-9]_*.md"))


def lesson_title(path: Path) -> str:
    """The title of a lesson: its first heading."""
    return re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
