"""What ran in this kernel: which cell, as which `In [number]`, and how the file was then.

JupyterLab says with each run which cell it is; other programs do not. IPython keeps every cell as
it was typed.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .desk import notebook_file

IN_FLIGHT = 2.0  # seconds: a save that began before a cell ran may come to an end after it


@dataclass(frozen=True)
class Run:
    """One run of a cell."""

    number: int
    typed: str
    cell_id: str = ""  # "": the program does not say
    file: Path | None = None
    state: tuple[int, int] | None = None  # when the file was written, and its size
    when: float = 0.0

    @property
    def where(self) -> str:
        return f"In [{self.number}]"

    def was_saved_since(self) -> bool:
        """Has the notebook's file been written since?"""
        return self.state is not None and _state(self.file) not in (self.state, None)

    def was_saved_well_since(self) -> bool:
        """So long since that the save began after the run, and holds what stood there then."""
        written = (_state(self.file) or (0, 0))[0] / 1e9
        return self.was_saved_since() and written > self.when + IN_FLIGHT


class _Watch(dict):
    """The runs that were announced, by the number in `In [number]`."""

    lesson = ""
    shell = None


_ANNOUNCED = _Watch()


def watch_runs(lesson: str) -> None:
    """Take note, from now on, of every cell that is run in the notebook of `lesson`."""
    _ANNOUNCED.lesson = lesson
    shell = _shell()
    if shell is not None and _ANNOUNCED.shell is not shell:
        shell.events.register("pre_run_cell", _remember)
        _ANNOUNCED.shell = shell


def runs() -> list[Run]:
    """The cells that ran in this kernel and are in its history, oldest first."""
    shell = _shell()
    if shell is None:
        return []
    typed = shell.history_manager.input_hist_raw
    found = []
    for number in range(1, len(typed)):
        run = _ANNOUNCED.get(number)
        is_same = run is not None and run.typed == typed[number].rstrip("\n")
        found.append(run if is_same else Run(number, typed[number]))
    return found


def _shell():
    # If IPython was never imported, this is no kernel: importing it would only cost time.
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _remember(info) -> None:
    """IPython calls this before each cell."""
    if info.store_history:
        file = notebook_file(_ANNOUNCED.lesson)
        number = len(_shell().history_manager.input_hist_raw)  # where the history will have it
        cell_id = getattr(info, "cell_id", None) or ""  # an old kernel does not know
        about = (cell_id, file, _state(file), time.time())
        _ANNOUNCED[number] = Run(number, info.raw_cell.rstrip("\n"), *about)  # as IPython does


def _state(file: Path | None) -> tuple[int, int] | None:
    try:
        about = file.stat() if file else None
    except OSError:
        return None
    return (about.st_mtime_ns, about.st_size) if about else None
