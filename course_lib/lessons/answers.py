"""Which text of a notebook is the answer to an exercise: one rule, at the desk as in class.

The cell that defines the component counts, wherever it stands and whatever became of its metadata.
Where several do, the last in the notebook counts, as a run from top to bottom would leave it; a
cell that is as it was handed out counts only where there is no other, and one that is not Python
defines nothing. What the definition uses of the learner's other cells goes with it.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from course_lib.parsing import parse

from .cell_text import NotPython, claims, is_second_half, python_of
from .exercises import Exercise, read_exercises
from .needed import needed
from .package_text import definitions
from .statements import Statement, statements_of

MAX_CHARACTERS = 100_000  # of one answer, and of a cell
MAX_ALL_CHARACTERS = 1_000_000  # of all cells that a learner wrote


@dataclass(frozen=True)
class Typed:
    """A cell as it was typed, and what is known of it."""

    typed: str
    where: str  # what a message calls it, such as "In [7]"
    grade_id: str | None = ""  # nbgrader's name for it; None: nobody knows
    is_code: bool = True
    id: str = ""  # the notebook's own name for it, which editors change

    @property
    def statements(self) -> list[Statement]:
        """Its statements; none where it is not Python."""
        return self._read[0]

    @property
    def problem(self) -> str:
        """Why it is not Python; empty when it is."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[list[Statement], str]:
        return _read(self.typed)

    @cached_property
    def defines(self) -> frozenset[str]:
        return frozenset().union(*(statement.defines for statement in self.statements))

    def leaves_untouched(self, stub: str, component: str) -> bool:
        """Is what it says of `component` only what was handed out?"""
        handed_out = ast.dump(parse(stub))
        defining = [one for one in self.statements if component in one.defines]
        return all(ast.dump(parse(one.text)) == handed_out for one in defining)


@lru_cache(maxsize=256)  # at the desk the same cells are read at each check
def _read(typed: str) -> tuple[list[Statement], str]:
    """A cell's statements, or why it has none."""
    try:
        if len(typed) > MAX_CHARACTERS:
            raise NotPython(f"holds {len(typed)} characters, more than {MAX_CHARACTERS}")
        return statements_of(python_of(typed)), ""
    except NotPython as reason:
        return [], str(reason)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [], f"is not Python: {str(error)[:200] or type(error).__name__}"


@dataclass(frozen=True)
class Answer:
    """The answer to an exercise: Python that runs by itself after what the lesson gives."""

    source: str
    cell: Typed
    cells: tuple[Typed, ...]  # all that it is made of
    note: str = ""
    is_untouched: bool = False  # it is the cell as it was handed out


class NoAnswer(LookupError):
    """A notebook that answers an exercise in no cell; the text says why and what to do."""

    is_missing = False  # no cell so much as begins to


class Answers:
    """The answers in a notebook's cells, in the notebook's order.

    Args:
        notebook: the lesson as it was handed out.
    """

    def __init__(self, cells: Sequence[Typed], notebook: Mapping):
        self.exercises = {one.component: one for one in read_exercises(notebook)}
        stubs = {_plain(one.stub) for one in self.exercises.values()}
        as_given = {_plain(_text(cell)) for cell in notebook["cells"]} - stubs
        locked = {_grade_id(cell) for cell in notebook["cells"]} - {None, *self.exercises}
        self.cells = list(cells)
        code = [cell for cell in self.cells if cell.is_code and cell.grade_id not in locked]
        self._own = [cell for cell in code if _plain(cell.typed) not in as_given]
        self._written = [cell for cell in self._own if _plain(cell.typed) not in stubs]

    def of(self, component: str) -> Answer:
        """The answer to the exercise that asks for `component`.

        Raises:
            NoAnswer: there is none.
        """
        self._refuse_too_much()
        exercise = self.exercises[component]
        definers = [
            cell
            for cell in self._written
            if component in cell.defines and not cell.leaves_untouched(exercise.stub, component)
        ]
        if not definers:
            return self._untouched(exercise)
        cell = definers[-1]
        self._refuse_halves(cell, component)
        found = self._needed(exercise, cell)
        notes = [_which(cell, definers, self.cells, component)]
        if found.taken_along:
            notes.append(f"from other cells it takes along: {', '.join(found.taken_along)}")
        broken = [one for one in self._written if claims(one.typed, component) and one.problem]
        if broken:
            notes.append(f"{broken[-1].where} {broken[-1].problem}, so it does not count")
        made_of = tuple(self._written[number] for number in found.cells)
        return Answer(found.text, cell, made_of, "; ".join(filter(None, notes)))

    def _needed(self, exercise: Exercise, cell: Typed):
        names = set()
        for source in exercise.setup:
            names |= {name for one in statements_of(source) for name in one.binds}
        order = list(self.exercises)
        names |= set(order[: order.index(exercise.component)])
        own = next(n for n, one in enumerate(self._written) if one is cell)
        cells = [one.statements for one in self._written]
        found = needed(exercise.component, own, cells, names - {exercise.component})
        if len(found.text) > MAX_CHARACTERS:
            raise NoAnswer(
                f"{exercise.component} takes along {len(found.text)} characters from its cells, "
                f"more than {MAX_CHARACTERS}"
            )
        return found

    def _untouched(self, exercise: Exercise) -> Answer:
        """The cell as it was handed out; or why even that is not there."""
        component = exercise.component
        broken = [one for one in self._own if claims(one.typed, component) and one.problem]
        self._refuse_halves(broken[-1] if broken else None, component)
        if broken:
            where, problem = broken[-1].where, broken[-1].problem
            raise NoAnswer(f"the cell of {component} ({where}) {problem}")
        for cell in self._own:
            if component in cell.defines:
                return Answer(exercise.stub, cell, (cell,), is_untouched=True)
        text = [c for c in self.cells if not c.is_code]
        if any(c.grade_id == component or claims(c.typed, component) for c in text):
            raise NoAnswer(
                f"the cell of {component} was turned into text: make it a code cell again "
                "(in JupyterLab: press Esc, then Y), and run it"
            )
        missing = NoAnswer(f"no cell defines {component}: its name must stay as given")
        missing.is_missing = True
        raise missing

    def _refuse_halves(self, cell: Typed | None, component: str) -> None:
        """Refuse an answer whose second half stands in the cell below."""
        if cell is None:
            return
        below = self._own[next(n for n, one in enumerate(self._own) if one is cell) + 1 :]
        if not below or not (is_second_half(below[0].typed) or (cell.problem and below[0].problem)):
            return
        try:
            together = python_of(f"{cell.typed}\n{below[0].typed}")
            is_whole = component in definitions(together)
        except (NotPython, RecursionError, MemoryError):
            return
        if is_whole:
            raise NoAnswer(
                f"the answer to {component} is split over two cells ({cell.where} and "
                f"{below[0].where}): join them (in JupyterLab: select both, then Shift+M)"
            )

    def _refuse_too_much(self) -> None:
        n_characters = sum(len(cell.typed) for cell in self._own)
        if n_characters > MAX_ALL_CHARACTERS:
            raise NoAnswer(
                f"the notebook's code cells hold {n_characters} characters, more than the "
                f"{MAX_ALL_CHARACTERS} that are read: delete what is no answer"
            )


def _which(cell: Typed, definers: list[Typed], cells: list[Typed], component: str) -> str:
    """A word about the cell that was taken, where it is not the one to be expected."""
    if len(definers) > 1:
        n_cells = len(definers)
        return f"{component} is defined in {n_cells} cells; the last one counts: {cell.where}"
    if cell.grade_id is None:
        return ""
    own = [one for one in cells if one.grade_id == component]
    if not own:
        return (
            f"your answer was found by its name, in {cell.where}: no cell carries its id any more"
        )
    if cell.grade_id == component:
        is_copy = cell is not own[0]
        return f"your answer was found in a copy of its cell, {cell.where}" if is_copy else ""
    place = "below" if cells.index(cell) > cells.index(own[0]) else "above"
    return f"your answer was found in {cell.where}, a new cell {place} the exercise's own"


def _plain(text: str) -> str:
    """A cell's text for comparison: line ends, and blanks around and at the ends, do not count."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _text(cell: Mapping) -> str:
    return "".join(cell["source"])


def _grade_id(cell: Mapping) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")
