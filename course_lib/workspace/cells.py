"""Which cells of the running notebook hold an answer, and whether they ran as they stand.

The rule is the class's (`lessons/answers.py`); what differs is how the notebook is known. Each cell
is taken as it last ran. The saved file gives their order, the cells that have not run, and what was
edited since. Where the program does not say which cell runs, the order in which they ran stands in.
"""

import inspect
import json
import linecache
import os
from dataclasses import replace
from pathlib import Path

from course_lib.lessons.answers import MAX_ALL_CHARACTERS, Answer, Answers, NoAnswer, Typed
from course_lib.lessons.cell_text import claims
from course_lib.lessons.exercises import Exercise, read_notebook
from course_lib.lessons.package_text import Unreadable
from course_lib.lessons.saved_cells import saved_cells
from course_lib.lessons.without_outputs import TooManyParts, without_outputs

from .runs import Run, runs


class NotACell(LookupError):
    """A component that no cell of this notebook defines as it stands; the text says why."""


def answer_cell(component, exercise: Exercise) -> Answer:
    """The answer to `exercise` in this notebook.

    Args:
        component: what the kernel has under its name; None for nothing.

    Raises:
        NotACell: no cell that ran in this kernel defines it, or one has changed since it ran.
    """
    ran = _last_runs(runs())
    name, pristine = exercise.component, read_notebook(exercise.lesson)
    file = next((run.file for run in reversed(ran) if run.file), None)
    saved = _saved(file)
    is_known = {run.cell_id for run in ran} & {cell.id for cell in saved if cell.id}
    if is_known:
        cells = _as_it_stands(ran, saved)
    else:
        cells = [_typed(run, pristine) for run in ran]
        _refuse_overtaken(cells, name, exercise.stub)
    try:
        answer = Answers(cells, pristine).of(name)
    except NoAnswer as reason:
        _refuse_superseded(name)
        is_noted = any(claims(run.typed, name) for run in runs())
        unnoted = None if is_noted else _unnoted(component)
        if unnoted is None:
            raise NotACell(_why_not(reason, component, name)) from None
        return Answer(unnoted, Typed(unnoted, "the cell"), ())
    if is_known:
        _refuse_what_did_not_run(answer, name, ran)
    elif saved:
        _refuse_what_is_saved(answer, name, ran, Answers(saved, pristine))
    return replace(answer, note="; ".join(filter(None, [answer.note, _edited(answer, ran, saved)])))


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


def _typed(run: Run, pristine: dict) -> Typed:
    """A run as a cell; nbgrader's name for it follows from its id where that is the lesson's."""
    names = {
        cell["id"]: cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        for cell in pristine["cells"]
    }
    return Typed(run.typed, run.where, names.get(run.cell_id), id=run.cell_id)


def _as_it_stands(ran: list[Run], saved: list[Typed]) -> list[Typed]:
    """The notebook: as saved, with the cells that ran since then as they ran."""
    by_id = {run.cell_id: run for run in ran if run.cell_id}
    cells = []
    for cell in saved:
        run = by_id.pop(cell.id, None)
        if run is None or (run.was_saved_well_since() and _differs(run.typed, cell.typed)):
            cells.append(cell)
        else:
            cells.append(replace(cell, typed=run.typed, where=run.where, is_code=True))
    new = [run for run in by_id.values() if not run.was_saved_well_since()]
    return cells + [Typed(run.typed, run.where, id=run.cell_id) for run in new]


def _refuse_overtaken(cells: list[Typed], name: str, stub: str) -> None:
    """Refuse what a newer run may have replaced: nobody knows whether it was the same cell."""
    unknown = [cell for cell in cells if not cell.id and claims(cell.typed, name)]
    if len(unknown) < 2:
        return
    *older, newest = unknown
    problem = newest.problem or (
        "is as it was handed out" if newest.leaves_untouched(stub, name) else ""
    )
    if problem and any(not cell.problem for cell in older):
        raise NotACell(
            f"the cell that ran last and begins to define {name}, {newest.where}, {problem}\n"
            "run the cell with your answer again, and delete the other one"
        )


def _refuse_superseded(name: str) -> None:
    """Say of a cell that it did define `name`, and then ran again and did not."""
    every = runs()
    for old in reversed(every):
        newer = [run for run in every if run.cell_id == old.cell_id and run.number > old.number]
        if old.cell_id and newer and name in Typed(old.typed, old.where).defines:
            raise NotACell(
                f"the cell that defined {name} was changed and run again\n"
                f"as {old.where} it defined {name}, as {newer[-1].where} it did not"
            )


def _refuse_what_did_not_run(answer: Answer, name: str, ran: list[Run]) -> None:
    """Refuse an answer that stands in the notebook otherwise than it ran here."""
    by_id = {run.cell_id: run for run in ran if run.cell_id}
    for cell in answer.cells:
        run = by_id.get(cell.id)
        which = "defines" if cell == answer.cell else "helps to define"
        if run is None:
            raise NotACell(
                f"the cell that {which} {name} has not run here\n"
                f"it is {cell.where} of the notebook as saved: run it, or delete it and save"
            )
        if _differs(run.typed, cell.typed):
            raise NotACell(
                f"the cell that {which} {name} has changed since it ran\n"
                f"it ran as {run.where}, and another text was saved since: run it again"
            )


def _refuse_what_is_saved(answer: Answer, name: str, ran: list[Run], saved: Answers) -> None:
    """Refuse an answer that was saved otherwise since, where cells have no names of their own."""
    numbers = {cell.where for cell in answer.cells}
    if not all(run.was_saved_well_since() for run in ran if run.where in numbers):
        return
    try:
        as_saved = saved.of(name)
    except NoAnswer as reason:
        raise NotACell(f"the notebook as saved does not answer: {reason}") from None
    if _differs(as_saved.source, answer.source):
        raise NotACell(
            f"the cell that defines {name} has changed since it ran\n"
            f"as saved, {as_saved.cell.where} of the notebook has another text: run it again"
        )


def _edited(answer: Answer, ran: list[Run], saved: list[Typed]) -> str:
    """A word about a cell that has another text in the file, when that save is only just done."""
    by_id = {cell.id: cell for cell in saved if cell.id}
    for run in ran:
        cell = by_id.get(run.cell_id)
        if run.cell_id != answer.cell.id or cell is None or not run.was_saved_since():
            continue
        if _differs(run.typed, cell.typed):
            return (
                f"the cell was judged as it ran, {run.where}; saved since, it has another text. "
                "If you have edited it, run it and check again."
            )
    return ""


def _saved(file: Path | None) -> list[Typed]:
    """The cells in the notebook's file; none where it cannot be read."""
    try:
        return saved_cells(json.loads(without_outputs(file.read_bytes()))) if file else []
    except (OSError, ValueError, TooManyParts, Unreadable, RecursionError):
        return []


def _unnoted(component) -> str | None:
    """The text of the cell that a client ran without noting it in the history."""
    members = [component]
    if inspect.isclass(component):
        members = [getattr(member, "__func__", member) for member in vars(component).values()]
    codes = (getattr(member, "__code__", None) for member in members)
    for file in {code.co_filename for code in codes if code}:
        entry = linecache.cache.get(file)
        if entry and len(entry) == 4 and entry[1] is None and not os.path.exists(file):
            return "".join(entry[2])
    return None


def _why_not(reason: NoAnswer, component, name: str) -> str:
    """No cell defines it: where the one that the kernel has comes from."""
    if "no cell defines" not in str(reason):
        return str(reason)
    module = getattr(component, "__module__", None) or type(component).__module__
    is_nowhere = component is None or module == "__main__"
    where = "" if is_nowhere else f"\nthe one given here comes from {module}"
    return f"no cell that ran in this notebook defines {name}{where}"


def _differs(one: str, other: str) -> bool:
    return _lines(one) != _lines(other)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
