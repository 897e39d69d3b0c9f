"""The cells of a saved notebook, from its tree of JSON, which anybody may have written.

Cells are read in format 4 and in the older format 3, whose code stands in another place. Whatever
is no cell is left out.
"""

from dataclasses import replace

from course_lib.own_files import Unreadable

from .answers import Typed

MAX_CELLS = 10_000


def saved_cells(tree: object) -> list[Typed]:
    """The cells of a notebook, in order.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(tree, dict) or "nbformat" not in tree:
        raise Unreadable("it is not a notebook")
    if tree["nbformat"] == 3 and isinstance(tree.get("worksheets"), list):
        sheets = [one for one in tree["worksheets"] if isinstance(one, dict)]
        cells = [c for one in sheets if isinstance(one.get("cells"), list) for c in one["cells"]]
    elif tree["nbformat"] not in (3, 4):
        raise Unreadable("it is not in notebook format 4; save it again in JupyterLab")
    elif not isinstance(tree.get("cells"), list):
        raise Unreadable("it has no list of cells")
    else:
        cells = tree["cells"]
    typed = [_typed(cell, number) for number, cell in enumerate(cells[:MAX_CELLS], start=1)]
    found = [cell for cell in typed if cell is not None]
    if any(cell.grade_id for cell in found):
        return found
    return [replace(cell, grade_id=None) for cell in found]


def _typed(cell: object, number: int) -> Typed | None:
    """A cell's text and its names; None for what is no cell."""
    if not isinstance(cell, dict):
        return None
    is_code = cell.get("cell_type") == "code"
    source = cell.get("input") if is_code and "source" not in cell else cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return Typed(
        # Half a character (a lone surrogate) can be written in JSON and in no file.
        source.encode("utf-8", "replace").decode("utf-8"),
        f"cell {number}",
        grade_id if isinstance(grade_id, str) else "",
        is_code,
        cell["id"] if isinstance(cell.get("id"), str) else "",
    )
