"""The running notebook as it stands: each cell as it last ran, in the notebook's order.

The saved file gives the order, the cells that have not run, and what was edited since. Where the
program does not say which cell runs, the order in which they ran stands in for the notebook's.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from course_lib.lessons.answers import MAX_ALL_CHARACTERS, Answer, Typed
from course_lib.lessons.exercises import read_notebook
from course_lib.lessons.saved_cells import saved_cells
from course_lib.lessons.without_outputs import TooManyParts, without_outputs
from course_lib.own_files import Unreadable

from .runs import Run, runs


@dataclass(frozen=True)
class Notebook:
    """What this kernel knows of the notebook that it runs."""

    cells: list[Typed]
    ran: list[Run]  # the last run of each cell, oldest first
    saved: list[Typed]  # the file's cells; none where no file is known
    is_known: bool  # whether the file's cells are those that ran, by their ids

    def run_of(self, cell: Typed) -> Run | None:
        """The last run of a cell."""
        if not self.is_known:
            return next((run for run in self.ran if run.where == cell.where), None)
        return next((run for run in self.ran if run.cell_id and run.cell_id == cell.id), None)

    def note_of_a_save(self, answer: Answer) -> str:
        """A word about a cell that has another text in the file, when that save is only just done.

        It may have begun before the cell ran, so it takes nothing from the verdict.
        """
        run = self.run_of(answer.cell)
        cell = next((one for one in self.saved if self.is_known and one.id == answer.cell.id), None)
        if run and cell and run.was_saved_since() and differs(run.typed, cell.typed):
            return (
                f"the cell was judged as it ran, {run.where}; saved since, it has another text. "
                "If you have edited it, run it and check again."
            )
        return ""


def notebook_as_it_stands(lesson: str) -> Notebook:
    """The notebook of `lesson` that this kernel runs."""
    ran = _last_runs(runs())
    file = next((run.file for run in reversed(ran) if run.file), None)
    saved = cells_in_file(file) if file else []
    is_known = bool({run.cell_id for run in ran} & {cell.id for cell in saved if cell.id})
    cells = _merged(ran, saved) if is_known else _as_they_ran(ran, lesson)
    return Notebook(cells, ran, saved, is_known)


def cells_in_file(file: Path) -> list[Typed]:
    """The cells of a saved notebook; none where it cannot be read."""
    try:
        content = without_outputs(file.read_bytes())
        return saved_cells(json.loads(content.decode("utf-8-sig")))
    except (OSError, ValueError, TooManyParts, Unreadable, RecursionError):
        return []


def differs(one: str, other: str) -> bool:
    """Whether two texts of a cell differ, in more than blanks at the ends."""
    return _lines(one) != _lines(other)


def _last_runs(every: list[Run]) -> list[Run]:
    """The last run of each cell, oldest first; every run where the cell is not known."""
    newest = {run.cell_id or run.number: run for run in every}
    kept, left = [], MAX_ALL_CHARACTERS
    for run in sorted(newest.values(), key=lambda run: run.number, reverse=True):
        left -= len(run.typed)
        if left < 0:
            break
        kept.append(run)
    return kept[::-1]


def _as_they_ran(ran: list[Run], lesson: str) -> list[Typed]:
    """The runs as cells; nbgrader's name for one follows from its id where that is the lesson's."""
    names = {
        cell["id"]: cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        for cell in read_notebook(lesson)["cells"]
    }
    return [Typed(run.typed, run.where, names.get(run.cell_id), id=run.cell_id) for run in ran]


def _merged(ran: list[Run], saved: list[Typed]) -> list[Typed]:
    """The cells as saved, and those that ran since then as they ran."""
    by_id = {run.cell_id: run for run in ran if run.cell_id}
    cells = []
    for cell in saved:
        run = by_id.pop(cell.id, None)
        if run is None or (run.was_saved_well_since() and differs(run.typed, cell.typed)):
            cells.append(cell)
        else:
            cells.append(replace(cell, typed=run.typed, where=run.where, is_code=True))
    new = [run for run in by_id.values() if not run.was_saved_well_since()]
    return cells + [Typed(run.typed, run.where, id=run.cell_id) for run in new]


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
