"""The code that an experiment runs: the functions, classes and constants of its lesson's page.

What the seeds run is what the reader reads: nothing is written twice, and whoever changes the page
changes the experiment, which then wants a new record.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from course_lib.lessons.needed import needed
from course_lib.lessons.statements import Statement, statements_of
from course_lib.lessons.text import read_lesson

BOOK = Path(__file__).resolve().parents[2] / "book"


def page_text(lesson: str, names: Sequence[str], book: Path = BOOK) -> str:
    """What the page says to define `names`, and all that these definitions need, as Python.

    Raises:
        KeyError: the page does not define one of them.
    """
    cells = _cells(book / f"{lesson}.md")
    parts = {_defining(name, cells, lesson): None for name in names}
    return "\n\n\n".join(parts)


def _defining(name: str, cells: list[list[Statement]], lesson: str) -> str:
    for number, cell in enumerate(cells):
        if any(name in statement.defines for statement in cell):
            return needed(name, number, cells[: number + 1], frozenset()).text
        for statement in cell:
            if name in statement.binds:  # an import, as that of every exercise is on the page
                return statement.text.strip("\n")
    raise KeyError(f"page {lesson} must define {name}, which an experiment uses.")


def page_of(
    lesson: str, names: Sequence[str], bugs: Sequence[str] = (), book: Path = BOOK
) -> SimpleNamespace:
    """`names` as the page defines them, and `bugs` of the zoo as `.bugs[name]`."""
    from course_lib.bugs import find_bug

    space: dict[str, object] = {"__name__": f"page_{lesson}"}
    for name in names:  # each with its own helpers: a page may define a helper twice
        text = page_text(lesson, [name], book)
        exec(compile(text, f"{lesson}.md", "exec"), space)
    found = {name: space[name] for name in names}
    return SimpleNamespace(**found, bugs={name: find_bug(name).implementation for name in bugs})


@cache
def _cells(path: Path) -> list[list[Statement]]:
    """The statements of a page's code cells."""
    cells = [cell.source for cell in read_lesson(path) if cell.kind == "code"]
    return [statements_of(source) for source in cells]
