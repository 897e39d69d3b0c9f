"""The `check` of a notebook: its verdict on a cell is the one the class will get.

It takes the solution cell as typed, runs it in a namespace of its own after the lesson's locked
cells, and judges what that defines. A pass is written into the learner's package; not while a
notebook is validated or graded, when the notebook runs but nobody is at work in it.
"""

import contextlib
import io
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from course_lib.checks import CheckFailed, UnknownComponent, find, observe_here, run
from course_lib.checks.judges.findings import FIRST_LINE, OTHER_LINES
from course_lib.checks.local import DEFAULT_SEED, failure_text, success_text
from course_lib.checks.observe.load.answer import AnswerRefused, load_answer
from course_lib.checks.verdict.library import note_at_the_desk
from course_lib.lessons.exercises import (
    Exercise,
    find_exercise,
    lesson_names,
    read_exercises,
    read_notebook,
    read_package_checks,
)

from .borrow import PACKAGE
from .cells import AnswerCell, NotACell, answer_cell
from .desk import NOT_COLLECTED, someone_is_at_work, where_passes_go, workspace_of
from .folder import WorkspaceError
from .importing import import_part, install_borrowed_package, use_package
from .promote import promote
from .reading import imported_modules
from .runs import note_of_a_change, refuse_superseded, watch_runs
from .whole import judge_whole


def open_lesson(lesson: str) -> Callable:
    """The `check` for the notebook of `lesson`, with `my_transformer` ready to be imported.

    The package is that of the workspace around the working directory or the notebook; without
    one, a package in memory, all of it borrowed. A line says which.

    Raises:
        ValueError: there is no such lesson.
        WorkspaceError: the workspace was made by a later version of the course.
    """
    if lesson not in lesson_names():
        raise ValueError(f"lesson must be one of {', '.join(lesson_names())}, got {lesson!r}.")
    workspace = workspace_of(lesson)
    if workspace is None:
        install_borrowed_package()
    else:
        use_package(workspace)
    if someone_is_at_work():
        print(where_passes_go(workspace))
        watch_runs(lesson)

    def check(
        component, *, seed: int | None = None, device: str = "cpu", package: str = PACKAGE
    ) -> None:
        """Say that the cell which defines `component` is right, or raise what is wrong with it.

        Args:
            component: the function or class itself; or the name of a check of the whole package.
            seed: repeats the inputs of another run, such as one that feedback names.
            device: where to run it, such as "cuda".
            package: the whole package's name; there is one.
        """
        if isinstance(component, str) and read_package_checks(read_notebook(lesson)):
            _judge_package(workspace or Path.cwd(), component, seed, device)
            return
        names = sys._getframe(1).f_globals
        try:
            exercise = _exercise(component, lesson, names)
            answer = answer_cell(component, exercise.component)
            refuse_superseded(answer, exercise.component)
            _judge(exercise, answer, seed, device)
        except (NotACell, UnknownComponent, WorkspaceError) as error:
            raise CheckFailed(_not_checked(error)) from None
        if someone_is_at_work():
            _write_down(workspace, exercise, answer.typed)

    return check


def _exercise(component, lesson: str, names: dict) -> Exercise:
    """The exercise that `component` is meant to solve.

    The name that the notebook calls it by counts before the one its `def` gave it.
    """
    here = {e.component: e for e in read_exercises(read_notebook(lesson))}
    called = [name for name in here if names.get(name) is component]
    if not callable(component) or not (called or hasattr(component, "__name__")):
        raise CheckFailed(
            f"check takes a function or class itself, got a {type(component).__name__}\n"
            f"  hint: such as check({next(iter(here))})"
        )
    if len(called) > 1:
        raise CheckFailed(
            f"{' and '.join(called)} are one and the same object here\n"
            "  hint: each needs a definition of its own"
        )
    name = called[0] if called else component.__name__
    return here.get(name) or find_exercise(name) or _unknown(name)


def _judge_package(folder: Path, name: str, seed: int | None, device: str) -> None:
    """Print that the package in `folder` passes its check `name`, or raise `CheckFailed`."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            used = DEFAULT_SEED if seed is None else seed
            verdict = judge_whole(folder / PACKAGE, name, seed=used, device=device)
    except (UnknownComponent, WorkspaceError) as error:
        raise CheckFailed(_not_checked(error)) from None
    if not verdict.passed:
        raise CheckFailed(verdict.text)
    print(verdict.text)


def _unknown(name: str):
    find(name)  # raises, with the nearest name
    raise UnknownComponent(f"{name} is no exercise of a lesson.")


def _judge(exercise: Exercise, answer: AnswerCell, seed: int | None, device: str) -> None:
    """Print that the cell is right, or raise `CheckFailed`."""
    cell, earlier = answer.typed, []
    for other in read_exercises(read_notebook(exercise.lesson)):
        if other.component == exercise.component:
            break
        earlier.append(f"from {PACKAGE}.{other.module} import {other.component}")
    job = {
        "component": exercise.component,
        "modules": {},
        "setup": list(exercise.setup),
        "earlier": earlier,
        "answer": cell,
    }

    def load():
        _refuse_imports(cell, exercise)
        return load_answer(job)

    # A library's warning on stderr would be a failure to nbgrader.
    with contextlib.redirect_stderr(io.StringIO()):
        import_part(exercise.module)  # says it plainly if an edit by hand has broken the module
        verdict = run(
            find(exercise.component),
            observe_here(load, load=True),
            seed=DEFAULT_SEED if seed is None else seed,
            device=device,
        )
    note = note_of_a_change(answer)
    if not verdict.passed:
        text = failure_text(verdict, seed)
        raise CheckFailed(f"{text}\n{textwrap.indent(note, '  ')}" if note else text)
    print(success_text(verdict))
    for text in (note_at_the_desk(verdict.name, verdict.library, cell), note):
        if text:
            print(text)


def _refuse_imports(cell: str, exercise: Exercise) -> None:
    """Refuse what an answer cannot import in class: the course itself, and its own module."""
    try:
        imported = imported_modules(cell)
    except (SyntaxError, ValueError):
        return  # load_answer says what is wrong with the cell
    absent = _modules_from(exercise.lesson)
    for module in sorted(imported):
        package, _, name = module.partition(".")
        if package == "course_lib":
            raise AnswerRefused(
                f"the cell imports {module}, which is not there in class: take earlier lessons' "
                f"parts from {PACKAGE}, and write this one yourself"
            )
        if package == PACKAGE and name.partition(".")[0] in absent:
            raise AnswerRefused(
                f"the cell imports {module}, which is not there in class: earlier parts of this "
                "lesson are at hand without an import, later ones are not"
            )


def _modules_from(lesson: str) -> set[str]:
    """The modules that `lesson` and the lessons after it write."""
    names = lesson_names()
    later = names[names.index(lesson) :]
    return {e.module for name in later for e in read_exercises(read_notebook(name))}


def _write_down(workspace: Path | None, exercise: Exercise, cell: str) -> None:
    """Put the cell into the learner's package, if there is one, and say where it stands."""
    if workspace is None:
        print(NOT_COLLECTED)
        return
    silence = io.StringIO()  # what the module prints as it runs again
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            done = promote(workspace, exercise.component, exercise.module, cell)
    except WorkspaceError as error:
        print(f"It was not written into {PACKAGE}: {error}")
        return
    text = f"It {'now ' if done.is_new else ''}stands in {_inside(workspace, done.module_file)}."
    if done.kept:
        text += f" The version before it: {_inside(workspace, done.kept)}."
    print(text)
    if done.note:
        print(f"But {done.note}.")


def _inside(workspace: Path, path: Path) -> str:
    return path.relative_to(workspace).as_posix()


def _not_checked(error: Exception) -> str:
    """An error as a check shows it: no line longer than nbgrader passes on."""
    first, *others = str(error).split("\n")
    if isinstance(error, NotACell):
        others.append("hint: write it in its own cell, run that cell, then check again")
    lines = textwrap.wrap(first, FIRST_LINE, subsequent_indent="  ")
    for other in others:
        lines += textwrap.wrap(
            other.strip(), OTHER_LINES, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines)
