"""`course reset`: an exercise as it was handed out, and what was written kept."""

import json
from dataclasses import dataclass
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.lessons.exercises import Exercise, require_exercise

from .borrow import PACKAGE
from .folder import WorkspaceError, cannot_write
from .importing import module_file
from .promote import into_history, taking_turns
from .reading import definitions
from .saved_notebook import read_saved, source_of
from .sections import find_section, section_source, without_section


@dataclass(frozen=True)
class Reset:
    """What was taken back: where the copies lie. Nothing was there to take back without a copy."""

    component: str
    kept: tuple[Path, ...]
    notebook: Path | None  # the notebook whose cell is a stub again

    def text(self, workspace: Path) -> str:
        """What the learner reads."""
        if not self.kept:
            return f"{self.component} is as it was handed out. Nothing has changed."
        names = " and ".join(path.relative_to(workspace).as_posix() for path in self.kept)
        lines = [f"{self.component} is as it was handed out. What you had is kept in {names}."]
        if self.notebook is not None:
            lines.append(
                f"Its cell in {self.notebook.name} is the stub again: if the notebook is open, "
                "reload it from disk before you save it."
            )
        return "\n".join(lines)


def reset(workspace: Path, component: str) -> Reset:
    """Borrow `component` again, and give its cell its stub; both texts are kept first.

    Raises:
        UnknownExercise: no lesson asks for a component of this name.
        WorkspaceError: it was written by hand, outside of what a notebook put there, or a file
            cannot be read or written.
    """
    exercise = require_exercise(component)
    try:
        with taking_turns(workspace):
            path = workspace / f"{exercise.lesson}.ipynb"
            saved = read_saved(path) if path.exists() else None  # before anything is changed
            section = _from_the_package(workspace, exercise)
            copy = saved and _from_the_notebook(workspace, path, saved, exercise)
    except OSError as error:
        raise cannot_write(error, workspace) from None
    return Reset(component, tuple(one for one in (section, copy) if one), path if copy else None)


def _from_the_package(workspace: Path, exercise: Exercise) -> Path | None:
    path, name = module_file(workspace, exercise.module), exercise.component
    try:
        text = path.read_bytes().decode("utf-8")
        line = definitions(text.encode()).get(name)
    except FileNotFoundError:
        return None
    except (SyntaxError, ValueError) as error:
        raise WorkspaceError(f"{PACKAGE}/{path.name} cannot be read: {error}. Mend it.") from None
    section = find_section(text, name)
    if line and (section is None or not section.start < line <= section.stop):
        raise WorkspaceError(
            f"{PACKAGE}/{path.name} defines {name} in line {line}, by hand: delete it there"
        )
    if section is None:
        return None
    copy = into_history(workspace, name, section_source(text, name))
    write_atomically(path, without_section(text, name))
    return copy


def _from_the_notebook(
    workspace: Path, path: Path, notebook: dict, exercise: Exercise
) -> Path | None:
    """Where what stood in the exercise's cell is kept; None if it was the stub."""
    cells = [cell for cell in notebook["cells"] if _answers(cell, exercise.component)]
    if not cells or source_of(cells[0]).strip() == exercise.stub.strip():
        return None
    copy = into_history(workspace, exercise.component, source_of(cells[0]))
    cells[0] |= {"source": exercise.stub, "outputs": [], "execution_count": None}
    write_atomically(path, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")
    return copy


def _answers(cell: dict, component: str) -> bool:
    course = cell["metadata"].get("course", {})
    return course.get("role") == "answer" and course.get("component") == component
