"""Grades for the terminal: student × component, then what was wrong, student by student."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .records import EXTRA, MANUAL, read_grades


@contextmanager
def progress_bar(*, hidden: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on stderr, as a function of how many are done, of how many, and the last."""
    columns = ("Grading", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    last = TextColumn("{task.description}")
    with Progress(*columns, last, console=Console(stderr=True), disable=hidden) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, name: bar.update(
            task, completed=done, total=total, description=escape(name)
        )


def print_table(grades: Path, console: Console | None = None) -> None:
    """Print what `grades_long.csv` holds."""
    console = console or Console()
    rows = read_grades(grades)
    for lesson in dict.fromkeys(row["lesson"] for row in rows):
        _print_lesson(lesson, [row for row in rows if row["lesson"] == lesson], console)


def _print_lesson(lesson: str, rows: list[dict], console: Console) -> None:
    components = list(dict.fromkeys(row["component"] for row in rows))
    console.print(f"[bold]{lesson}[/]", highlight=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("student", no_wrap=True)
    for component in components:
        table.add_column(_in_parts(component), justify="right", overflow="fold")
    table.add_column("total", justify="right", style="bold")
    by_student: dict[str, dict] = {}
    for row in rows:
        by_student.setdefault(row["student"], {})[row["component"]] = row
    for student, found in by_student.items():
        cells = [_cell(found[name]) if name in found else "" for name in components]
        total = sum(row["points"] for row in found.values())
        table.add_row(escape(student), *cells, f"{total:g}")
    console.print(table)
    if any(_by_hand(row) for row in rows):
        console.print("* by hand, in formgrader", style="dim", highlight=False)
    for student, found in by_student.items():
        for told in ("diagnosis", "note"):  # a note costs nothing, and its student reads it too
            for text, names in _grouped(found.values(), told).items():
                console.print(
                    f"[bold]{escape(student)}[/] {escape(', '.join(names))}: {escape(text)}",
                    highlight=False, soft_wrap=True, style="dim" if told == "note" else None,
                )  # fmt: skip
    console.print()


def _grouped(rows: Iterable[dict], told: str) -> dict[str, list[str]]:
    """Components by what is said of them: a blank notebook is one line, not ten."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row[told]:
            groups.setdefault(row[told], []).append(row["component"])
    return groups


def _in_parts(name: str) -> str:
    """A component's name with a line for each of its words: a narrow column heading."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=_)", "\n", name)


def _cell(row: dict) -> str:
    points, most = row["points"], row["max_points"]
    if points < 0:
        return f"[red]{points:g}[/]"
    colour = "green" if points >= most else "yellow" if points else "red"
    return f"[{colour}]{points:g}/{most:g}{'*' if _by_hand(row) else ''}[/]"


def _by_hand(row: dict) -> bool:
    return row["basis"].startswith(MANUAL) or row["basis"].endswith(EXTRA)
