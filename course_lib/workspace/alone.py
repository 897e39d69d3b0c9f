"""A learner's module that borrows nothing: what it was given is written into it, and marked so.

    # %% given: imports
    import torch
    # end of given

Given is what the course wrote: imports, constants, `GPTConfig`, private helpers, and components
that are still borrowed. It stands where the module borrowed, except what is declared in terms of
a part that the learner wrote: that stands behind it. All other lines are the learner's, as typed.
"""

import ast
import re
import sys
from dataclasses import dataclass

from course_lib.lessons.package_text import BORROW_FROM
from course_lib.parsing import parse

from .borrow import PACKAGE, borrowing_text
from .folder import WorkspaceError
from .pieces import Piece, components_of, named_when_run, pieces_of
from .reading import definitions, imported_modules
from .sections import find_section

GIVEN, STILL_BORROWED, END = "# %% given: ", "# %% given, still borrowed: ", "# end of given"
ALL_GIVEN = "# All of this module is given: the course wrote it."
IN_PART = (
    "# What stands between `# %% given` and `# end of given` was written by the course.\n"
    "# Every other line was written by the one whose model this is."
)
NONE_GIVEN = "# Every line of this module was written by the one whose model this is."


@dataclass(frozen=True)
class Alone:
    """A module that stands alone, and whose what in it is."""

    text: str
    yours: tuple[str, ...]  # components that the learner wrote
    borrowed: tuple[str, ...]  # components that are ours
    given: tuple[str, ...]  # what else is ours: "imports", or a name
    needs: frozenset[str]  # what the learner's lines import besides Python, numpy and torch


def stand_alone(module: str, own: str | None) -> Alone:
    """The learner's `module` with all that it borrows written into it.

    Args:
        own: its text; None where the learner has no such file, and all of it is borrowed.

    Raises:
        WorkspaceError: it cannot stand alone; the text says which line is in the way.
    """
    own = borrowing_text(module) if own is None else own.replace("\r\n", "\n").replace("\r", "\n")
    own = re.sub(r"\bcourse_lib\.transformer\b", PACKAGE, own)
    tree = _parsed(own, module)
    place = max((node.end_lineno for node in tree.body if _borrows(node)), default=None)
    lines = _without_borrowing(own, tree)
    _refuse_ours("\n".join(lines), module)
    ends = {} if place is None else _ends_of_definitions(own, tree, place)
    pieces = [] if place is None else [p for p in pieces_of(module) if not _is_theirs(p, ends)]
    text = _woven(lines, place, pieces, ends, components_of(module))
    has_own = any(line.strip() for line in lines)
    head = NONE_GIVEN if not pieces else IN_PART if has_own else ALL_GIVEN
    text = f"{head}\n\n{text.strip(chr(10))}\n"
    _check_order(text, module)
    components = components_of(module)
    names = definitions("\n".join(lines)) if place is None else ends
    shown = {name for piece in pieces for name in piece.names}
    return Alone(
        text,
        yours=tuple(name for name in components if name in names and name not in shown),
        borrowed=tuple(name for name in components if name in shown),
        given=tuple(p.label for p in pieces if not set(p.names) & set(components)),
        needs=_needs("\n".join(lines)),
    )


def _parsed(own: str, module: str) -> ast.Module:
    try:
        return parse(own)
    except (SyntaxError, ValueError) as error:
        raise WorkspaceError(
            f"{module}.py must be Python to be exported, got {type(error).__name__}: "
            f"{error}. Mend it first."
        ) from None


def _borrows(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node) == "borrow(__name__)"


def _without_borrowing(own: str, tree: ast.Module) -> list[str]:
    """The lines, those empty that import and call `borrow`, and the comments that explain it."""
    lines = own.split("\n")
    for node in tree.body:
        if _borrows(node) or (isinstance(node, ast.ImportFrom) and node.module == BORROW_FROM):
            for number in range(node.lineno - 1, node.end_lineno):
                lines[number] = ""
    explained = [
        borrowing_text("__init__"),
        borrowing_text("x"),
        borrowing_text("x", is_for_writing=False),
    ]
    comments = {line for text in explained for line in text.split("\n") if line.startswith("#")}
    return ["" if line in comments else line for line in lines]


def _refuse_ours(text: str, module: str) -> None:
    """Refuse any other import of the course, which is not there where the export goes."""
    for node in ast.walk(parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            if name.split(".")[0] == "course_lib":
                raise WorkspaceError(
                    f"an export does without course_lib, got an import of {name} in "
                    f"{module}.py, line {node.lineno}: write down there what you need of it."
                )


def _ends_of_definitions(own: str, tree: ast.Module, place: int) -> dict[str, int]:
    """For each name that the learner defines below line `place`, the last line of doing so.

    A definition above is overridden by what is borrowed, in the folder as here.
    """
    lines, ends = own.split("\n"), {}
    for node in tree.body:
        if node.lineno > place:
            statement = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            for name in definitions(statement):
                section = find_section(own, name)
                inside = section is not None and section.start < node.lineno <= section.stop
                ends[name] = section.stop if inside else node.end_lineno
    return ends


def _is_theirs(piece: Piece, ends: dict) -> bool:
    return bool(piece.names) and set(piece.names) <= set(ends)


def _woven(lines, place, pieces, ends, components) -> str:
    """The learner's lines with our pieces at their places."""
    after: dict[int, list[str]] = {}
    placed: dict[str, int] = {}
    for piece in pieces:
        where = max([place, *(ends.get(n, placed.get(n, 0)) for n in piece.needs)])
        placed |= dict.fromkeys(piece.names, where)
        is_component = set(piece.names) & set(components)
        opening = (STILL_BORROWED if is_component else GIVEN) + piece.label
        after.setdefault(where, []).append(f"{opening}\n{piece.text}\n{END}")
    woven, is_between = [], False
    for number, line in enumerate(lines, start=1):
        is_between = is_between and not line.strip()
        if not is_between:  # two empty lines are there already
            woven.append(line)
        if number == place or number in after:
            while woven and not woven[-1].strip():
                woven.pop()
            given = "\n\n\n".join(after.get(number, ()))
            woven += ["", "", *([given, "", ""] if given else [])]
            is_between = True
    return "\n".join(woven)


def _check_order(text: str, module: str) -> None:
    """Refuse a line that uses a name above its only definition: what it used was borrowed."""
    tree, known = parse(text), set()
    waiting = set(definitions(text))
    lines = text.split("\n")
    for node in tree.body:
        own = set(definitions("\n".join(lines[node.lineno - 1 : node.end_lineno])))
        early = sorted((set(named_when_run(node)) & waiting) - known - own)
        if early:
            raise WorkspaceError(
                f"{module}.py uses {early[0]} above its definition, in the line "
                f"{lines[node.lineno - 1].strip()!r}: move that line below the definition."
            )
        known |= own
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {(a.asname or a.name).split(".")[0] for a in node.names}


def _needs(own: str) -> frozenset[str]:
    """The packages that a learner's lines import, besides Python's own, numpy and torch."""
    tops = {name.split(".")[0] for name in imported_modules(own)}
    return frozenset(tops - set(sys.stdlib_module_names) - {"numpy", "torch", PACKAGE, ""})
