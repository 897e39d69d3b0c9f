"""Has the cell behind a part of the package changed since it passed? For `course check`.

The part was written from that cell. Where the notebook was saved after the module was written, and
the cell has another text by then, a verdict on the module would be one on an older answer.
"""

from pathlib import Path

from course_lib.lessons.answers import Answers, NoAnswer
from course_lib.lessons.exercises import find_exercise, read_notebook

from .as_it_stands import cells_in_file, differs
from .borrow import PACKAGE
from .importing import module_file
from .promote import for_the_package
from .sections import section_source


def newer_cell(workspace: Path, component: str) -> str:
    """What to say of a part whose cell was changed and saved since it passed; empty if none was."""
    exercise = find_exercise(component)
    if exercise is None:
        return ""
    notebook = workspace / f"{exercise.lesson}.ipynb"
    module = module_file(workspace, exercise.module)
    try:
        passed = section_source(module.read_text(encoding="utf-8"), component)
        if passed is None or notebook.stat().st_mtime_ns <= module.stat().st_mtime_ns:
            return ""
    except (OSError, ValueError):
        return ""
    cells = cells_in_file(notebook)
    if not cells:
        return ""
    try:
        answer = Answers(cells, read_notebook(exercise.lesson)).of(component)
    except NoAnswer as reason:
        why = str(reason)
    else:
        if not differs(for_the_package(answer.source, component), passed):
            return ""
        why = f"{answer.cell.where} has another text now"
    return (
        f"{component}: its cell has changed since it passed\n"
        f"  in {notebook.name}, {why}\n"
        f"  {PACKAGE}/{module.name} still holds what passed\n"
        "  hint: run the cell and check it there"
    )
