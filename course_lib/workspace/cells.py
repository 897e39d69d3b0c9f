"""Which cells of the running notebook hold an answer, and whether they ran as they stand.

The rule is the class's (`lessons/answers.py`). What stands in the notebook otherwise than it ran
here is no answer: the class would judge another text than the kernel has.
"""

import inspect
import linecache
import os
from dataclasses import replace

from course_lib.lessons.answers import Answer, Answers, NoAnswer, Typed
from course_lib.lessons.cell_text import claims
from course_lib.lessons.exercises import Exercise, read_notebook

from .as_it_stands import Notebook, differs, notebook_as_it_stands
from .runs import runs


class NotACell(LookupError):
    """A component that no cell of this notebook defines as it stands; the text says why."""


def answer_cell(component, exercise: Exercise) -> Answer:
    """The answer to `exercise` in this notebook.

    Args:
        component: what the kernel has under its name; None for nothing.

    Raises:
        NotACell: no cell that ran in this kernel defines it, or one has changed since it ran.
    """
    name, pristine = exercise.component, read_notebook(exercise.lesson)
    notebook = notebook_as_it_stands(exercise.lesson)
    if not notebook.is_known:
        _refuse_overtaken(notebook.cells, exercise)
    try:
        answer = Answers(notebook.cells, pristine).of(name)
    except NoAnswer as reason:
        _refuse_superseded(name)
        is_noted = any(claims(run.typed, name) for run in runs())
        unnoted = None if is_noted else _unnoted(component)
        if unnoted is None:
            raise NotACell(_why_not(reason, component, name)) from None
        return Answer(unnoted, Typed(unnoted, "the cell"), ())
    if notebook.is_known:
        _refuse_what_did_not_run(answer, name, notebook)
    elif notebook.saved:
        _refuse_what_is_saved(answer, name, notebook, pristine)
    notes = filter(None, [answer.note, notebook.note_of_a_save(answer)])
    return replace(answer, note="; ".join(notes))


def _refuse_overtaken(cells: list[Typed], exercise: Exercise) -> None:
    """Refuse what a newer run may have replaced: nobody knows whether it was the same cell."""
    name = exercise.component
    unknown = [cell for cell in cells if not cell.id and claims(cell.typed, name)]
    if len(unknown) < 2:
        return
    *older, newest = unknown
    is_stub = newest.leaves_untouched(exercise.stub, name)
    problem = newest.problem or ("is as it was handed out" if is_stub else "")
    if problem and any(not cell.problem for cell in older):
        raise NotACell(
            f"the cell that ran last and begins to define {name}, {newest.where}, {problem}\n"
            "hint: run the cell with your answer again, and delete the other one"
        )


def _refuse_superseded(name: str) -> None:
    """Say of a cell that it did define `name`, and then ran again and did not."""
    every = runs()
    for old in reversed(every):
        newer = [run for run in every if run.cell_id == old.cell_id and run.number > old.number]
        if old.cell_id and newer and name in Typed(old.typed, old.where).defines:
            raise NotACell(
                f"the cell that defined {name} was changed and run again\n"
                f"as {old.where} it defined {name}, as {newer[-1].where} it did not\n"
                "hint: mend it, run it, then check again"
            )


def _refuse_what_did_not_run(answer: Answer, name: str, notebook: Notebook) -> None:
    """Refuse an answer that stands in the notebook otherwise than it ran here."""
    for cell in answer.cells:
        run = notebook.run_of(cell)
        which = "defines" if cell == answer.cell else "helps to define"
        if run is None:
            raise NotACell(
                f"the cell that {which} {name} has not run here\n"
                f"it is {cell.where} of the notebook as saved\n"
                "hint: run it, or delete it and save; then check again"
            )
        if differs(run.typed, cell.typed):
            raise NotACell(
                f"the cell that {which} {name} has changed since it ran\n"
                f"it ran as {run.where}, and another text was saved since\n"
                "hint: run it again, then check again"
            )


def _refuse_what_is_saved(answer: Answer, name: str, notebook: Notebook, pristine: dict) -> None:
    """Refuse an answer that was saved otherwise since, where cells have no names of their own."""
    made_of = [notebook.run_of(cell) for cell in answer.cells]
    if not all(run.was_saved_well_since() for run in made_of):
        return
    try:
        as_saved = Answers(notebook.saved, pristine).of(name)
    except NoAnswer as reason:
        raise NotACell(
            f"in the notebook as saved, {reason}\nhint: mend it there, run it, then check again"
        ) from None
    if differs(as_saved.source, answer.source):
        raise NotACell(
            f"the cell that defines {name} has changed since it ran\n"
            f"as saved, {as_saved.cell.where} of the notebook has another text\n"
            "hint: run it again, then check again"
        )


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
    if not reason.is_missing:
        return str(reason)
    module = getattr(component, "__module__", None) or type(component).__module__
    is_nowhere = component is None or module == "__main__"
    where = "" if is_nowhere else f"\nthe one given here comes from {module}"
    return (
        f"no cell that ran in this notebook defines {name}{where}\n"
        "hint: write it in a cell, run that cell, then check again"
    )
