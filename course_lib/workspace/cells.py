"""Which cell of the running notebook holds an answer.

`inspect.getsource` fails for a class that a kernel defined, and knows nothing of the cell around a
function. But code knows the file name that its cell was compiled under, `linecache` has its text,
and IPython keeps every cell as it was typed.
"""

import inspect
import linecache
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .reading import definitions


class NotACell(LookupError):
    """A component that no cell of this notebook defines; the text says where it comes from."""


@dataclass(frozen=True)
class AnswerCell:
    """A cell that holds an answer: its source as typed, and the number in `In [number]`."""

    typed: str
    number: int | None = None  # None: the kernel keeps no history


def answer_cell(component, name: str | None = None) -> AnswerCell:
    """The cell that defines `component`.

    It is the cell that the component's code came from. Where that does not tell (a class without
    methods; `attention = F.scaled_dot_product_attention`; the name imported again since), it is
    the newest cell to define the name.

    Args:
        name: what the cell calls it; `__name__` unless told.

    Raises:
        NotACell: no cell that ran in this kernel defines it.
    """
    name = name or getattr(component, "__name__", "")
    files = _files_of(component)
    for cell in _typed_cells():
        if cell.file in files and _defines(cell, name):
            return AnswerCell(cell.typed, cell.number)
    for cell in _typed_cells():
        if _defines(cell, name):
            return AnswerCell(cell.typed, cell.number)
    for file in files:  # a client that keeps no history
        entry = linecache.cache.get(file)
        if entry and len(entry) == 4 and entry[1] is None and not os.path.exists(file):
            return AnswerCell("".join(entry[2]))
    raise NotACell(_where_from(component, name))


@dataclass(frozen=True)
class _Cell:
    """A cell that ran: as typed, as IPython turned it into Python, and its code's file name."""

    number: int
    typed: str
    python: str
    file: str


def _typed_cells() -> Iterator[_Cell]:
    """The cells that ran in this kernel, newest first."""
    # If IPython was never imported, this is no kernel: importing it would only cost time.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    history = shell.history_manager
    typed, parsed = history.input_hist_raw, history.input_hist_parsed
    for number in range(len(typed) - 1, 0, -1):
        cell, python = typed[number], parsed[number]
        if cell.lstrip().startswith("%%"):  # the magic runs the lines below it
            python = cell.lstrip().partition("\n")[2]
        yield _Cell(number, cell, python, shell.compile.get_code_name(cell, python, number))


def typed_text(number: int) -> str | None:
    """What was typed as `In [number]`; None where the kernel no longer knows."""
    return next((cell.typed for cell in _typed_cells() if cell.number == number), None)


def _defines(cell: _Cell, name: str) -> bool:
    try:
        return name in definitions(cell.python)
    except (SyntaxError, ValueError):
        return False


def _files_of(component) -> set[str]:
    """The file names under which the component's code was compiled."""
    members = [component]
    if inspect.isclass(component):
        members = [getattr(member, "__func__", member) for member in vars(component).values()]
        members += [member.fget for member in members if isinstance(member, property)]
    codes = (getattr(_innermost(member), "__code__", None) for member in members)
    return {code.co_filename for code in codes if code}


def _innermost(function):
    """A function without what its decorators put around it."""
    function = getattr(function, "func", function)  # functools.partial
    try:
        return inspect.unwrap(function)
    except ValueError:  # it wraps itself
        return function


def _where_from(component, name: str) -> str:
    module = getattr(component, "__module__", None) or type(component).__module__
    where = "" if module == "__main__" else f"\nthe one given here comes from {module}"
    return f"no cell that ran in this notebook defines {name}{where}"
