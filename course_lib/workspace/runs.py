"""Has the cell that is judged changed since it ran? As far as a kernel can know.

JupyterLab says with each run which cell it is. So the kernel knows when that cell has run once more
without defining its component, as when a mistake in its syntax came in: the answer is then refused.
Of what was typed and not run it knows only when the notebook is saved, and not for certain, since a
save may be on its way while a cell is run: that is a note, and takes nothing from the verdict.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from .cells import AnswerCell, NotACell, typed_text
from .desk import notebook_file


@dataclass(frozen=True)
class _Run:
    """One run of a cell: which cell, and what the notebook's file was like."""

    cell_id: str
    file: Path | None
    state: tuple[int, int] | None


class _Runs(dict):
    """The runs of this kernel, by the number in `In [number]`."""

    lesson = ""
    is_watching = False


_RUNS = _Runs()


def watch_runs(lesson: str) -> None:
    """Take note, from now on, of every cell that is run in the notebook of `lesson`."""
    _RUNS.lesson = lesson
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and not _RUNS.is_watching:
        shell.events.register("pre_run_cell", _remember)
        _RUNS.is_watching = True


def _remember(info) -> None:
    """IPython calls this before each cell."""
    shell = sys.modules["IPython"].get_ipython()
    cell_id = getattr(info, "cell_id", None)  # an old kernel, or a program that does not say
    if info.store_history and cell_id:
        file = notebook_file(_RUNS.lesson)
        number = len(shell.history_manager.input_hist_raw)  # where the history will have it
        _RUNS[number] = _Run(cell_id, file, _state(file))


def _state(file: Path | None) -> tuple[int, int] | None:
    try:
        about = file.stat() if file else None
    except OSError:
        return None
    return (about.st_mtime_ns, about.st_size) if about else None


def refuse_superseded(answer: AnswerCell, name: str) -> None:
    """Refuse a cell that has run again since, as another text, and did not define `name` then.

    Raises:
        NotACell: it has, and no other cell holds the same text.
    """
    run = _RUNS.get(answer.number)
    if run is None:
        return
    newest_of = {_RUNS[number].cell_id: number for number in sorted(_RUNS)}
    newest = newest_of[run.cell_id]
    texts = (typed_text(number) for number in newest_of.values())
    if newest > answer.number and all(t is not None and _differs(t, answer.typed) for t in texts):
        raise NotACell(
            f"the cell that defined {name} was changed and run again\n"
            f"as In [{answer.number}] it defined {name}, as In [{newest}] it did not"
        )


def note_of_a_change(answer: AnswerCell) -> str:
    """A word about a cell that has another text in the notebook's file, saved after it ran."""
    run = _RUNS.get(answer.number)
    if run is None or run.state is None or _state(run.file) in (run.state, None):
        return ""
    try:
        cells = json.loads(run.file.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell.get("id") == run.cell_id]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if len(texts) != 1 or not _differs(texts[0], answer.typed):
        return ""
    return (
        f"note: the cell was judged as it ran, In [{answer.number}]; saved since, it has another "
        "text.\nIf you have edited it, run it and check again."
    )


def _differs(one: str, other: str) -> bool:
    return _lines(one) != _lines(other)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
