"""The `check` of a notebook: its verdict is the one that the class will get for the same cells.

It takes the cell that defines the component, as typed, with what that uses of other cells; runs it
in a namespace of its own after the lesson's locked cells, and judges what that defines. A pass is
written into the learner's package; not while a notebook is validated or graded, when the notebook
runs but nobody is at work in it.
"""

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_lib.checks import CheckFailed, UnknownComponent, find, observe_here, run
from course_lib.checks.local import DEFAULT_SEED, failure_text, render_printed, success_text
from course_lib.checks.observe.calls import Call
from course_lib.checks.observe.load.answer import AnswerRefused, load_answer
from course_lib.checks.verdict.library import note_at_the_desk
from course_lib.checks.verdict.running import Failure
from course_lib.lessons.answers import Answer
from course_lib.lessons.exercises import (
    Exercise,
    find_exercise,
    lesson_names,
    read_exercises,
    read_notebook,
    read_package_checks,
)
from course_lib.lessons.imports import absent_in_class
from course_lib.lines import FIRST_LINE, OTHER_LINES, wrapped

from .borrow import PACKAGE
from .card import Card, failure_card, success_card
from .cells import NotACell, answer_cell
from .desk import (
    NOT_COLLECTED,
    release_note,
    someone_is_at_work,
    where_passes_go,
    workspace_of,
)
from .folder import WorkspaceError
from .going_on import what_is_next
from .importing import import_part, install_borrowed_package, use_package
from .promote import promote
from .repeating import Inputs, can_be_called_with_inputs, inputs_of, reference, repeat
from .runs import watch_runs
from .unknown_names import explain_missing
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
        if note := release_note(lesson):
            print(note)
        watch_runs(lesson)
    explain_missing(lesson, _why_missing)

    return LessonsCheck(lesson, workspace)


@dataclass(frozen=True)
class Outcome:
    """What an answer is told, and the failure that it tells, if it failed."""

    text: str
    failure: Failure | None


class LessonsCheck:
    """The `check` of one notebook.

    Attributes:
        inputs: what the last call that went wrong was given, by name.
    """

    def __init__(self, lesson: str, workspace: Path | None):
        self._lesson, self._workspace = lesson, workspace
        self._call: Call | None = None
        self.inputs = Inputs()

    def __call__(
        self, component, *, seed: int | None = None, device: str = "cpu", package: str = PACKAGE
    ) -> None:
        """Say that the cell which defines `component` is right, or raise what is wrong with it.

        Args:
            component: the function or class itself; or the name of a check of the whole package.
            seed: repeats the inputs of another run, such as one that feedback names.
            device: where to run it, such as "cuda".
            package: the whole package's name; there is one.
        """
        if isinstance(component, str) and read_package_checks(read_notebook(self._lesson)):
            _judge_package(self._workspace or Path.cwd(), component, seed, device)
            return
        names = sys._getframe(1).f_globals
        try:
            exercise = _exercise(component, self._lesson, names)
            answer = answer_cell(component, exercise)
            judged = judge_answer(exercise, answer, seed=seed, device=device)
        except (NotACell, UnknownComponent, WorkspaceError) as error:
            raise CheckFailed(_not_checked(error)) from None
        if judged.failure:
            self._keep(judged.failure, exercise)
            self._tell_failure(judged, exercise)
        lines = [judged.text]
        if someone_is_at_work():
            lines += _write_down(self._workspace, exercise, answer.source)
        _tell(
            lines, lambda: success_card("\n".join(lines), what_is_next(self._workspace, exercise))
        )

    def repeat(self, component):
        """Make the call that went wrong once more, and return what comes back.

        What `component` prints is seen, and an error has its traceback.

        Raises:
            CheckFailed: nothing went wrong yet.
        """
        if self._call is None:
            raise CheckFailed("nothing to repeat: no check has failed here yet")
        return repeat(component, self._call)

    def _keep(self, failure: Failure, exercise: Exercise) -> None:
        was_made = failure.sent is not None
        self._call = failure.call if was_made else None
        self.inputs = inputs_of(self._call, reference(exercise)) if was_made else Inputs()

    def _tell_failure(self, judged: Outcome, exercise: Exercise) -> None:
        """Raise `CheckFailed`; where Jupyter shows it, below a card that says it all."""
        if not _is_in_jupyter():
            raise CheckFailed(judged.text)
        name, inputs, again = exercise.component, "", ""
        if self._call:
            inputs = repr(self.inputs)
            again = f"check.inputs   # they are here\ncheck.repeat({name})   # this call again"
            if can_be_called_with_inputs(self._call):
                again += f"\n{name}(**check.inputs)   # by hand"
        _display(
            failure_card(
                name,
                judged.failure,
                judged.text,
                hints=exercise.hints,
                inputs=inputs,
                again=again,
            )
        )
        raise ShownAbove(judged.text)


class ShownAbove(CheckFailed):
    """A failed check of which a card has said everything: one line is left to say."""

    def _render_traceback_(self) -> list[str]:
        return [str(self).splitlines()[0]]


def _tell(lines: list[str], card: Callable[[], Card]) -> None:
    if _is_in_jupyter():
        _display(card())
    else:
        print("\n".join(lines))


def _is_in_jupyter() -> bool:
    """Whether somebody works here in a program that shows HTML."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return someone_is_at_work() and getattr(shell, "kernel", None) is not None


def _display(card: Card) -> None:
    from IPython.display import display

    display(card)


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


def _why_missing(exercise: Exercise) -> str:
    """Why nothing in the kernel has the name of `exercise`."""
    try:
        answer = answer_cell(None, exercise)
    except NotACell as reason:
        return _not_checked(reason)
    return f"{exercise.component} has no meaning here: run {answer.cell.where} again"


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


def judge_answer(
    exercise: Exercise, answer: Answer, *, seed: int | None = None, device: str = "cpu"
) -> Outcome:
    """Judge an answer as the class will.

    Raises:
        WorkspaceError: an edit by hand has broken the module that it belongs to.
    """
    earlier = []
    for other in read_exercises(read_notebook(exercise.lesson)):
        if other.component == exercise.component:
            break
        earlier.append(f"from {PACKAGE}.{other.module} import {other.component}")
    job = {
        "component": exercise.component,
        "modules": {},
        "setup": list(exercise.setup),
        "earlier": earlier,
        "answer": answer.source,
    }

    def load():
        if absent := absent_in_class(answer.source, exercise.lesson, exercise.component):
            raise AnswerRefused(absent)
        return load_answer(job)

    observer = observe_here(load, load=True)
    # A library's warning on stderr would be a failure to nbgrader.
    with contextlib.redirect_stderr(io.StringIO()):
        import_part(exercise.module)  # says it plainly if an edit by hand has broken the module
        used = DEFAULT_SEED if seed is None else seed
        verdict = run(find(exercise.component), observer, seed=used, device=device)
    rest = render_printed(verdict, observer)
    rest += _wrapped(f"note: {answer.note}") if answer.note else []
    if not verdict.passed:
        return Outcome("\n".join([failure_text(verdict, seed), *rest]), verdict.failure)
    library = note_at_the_desk(verdict.name, verdict.library, answer.source)
    return Outcome("\n".join([success_text(verdict), *filter(None, [library]), *rest]), None)


def _write_down(workspace: Path | None, exercise: Exercise, cell: str) -> list[str]:
    """Put the cell into the learner's package, if there is one; lines that say where it stands."""
    if workspace is None:
        return [NOT_COLLECTED]
    silence = io.StringIO()  # what the module prints as it runs again
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            done = promote(workspace, exercise.component, exercise.module, cell)
    except WorkspaceError as error:
        return [f"It was not written into {PACKAGE}: {error}"]
    text = f"It {'now ' if done.is_new else ''}stands in {_inside(workspace, done.module_file)}."
    if done.kept:
        text += f" The version before it: {_inside(workspace, done.kept)}."
    return [text, *([f"But {done.note}."] if done.note else [])]


def _inside(workspace: Path, path: Path) -> str:
    return path.relative_to(workspace).as_posix()


def _not_checked(error: Exception) -> str:
    """An error as a check shows it: no line longer than nbgrader passes on."""
    first, *others = str(error).split("\n")
    lines = wrapped(first, FIRST_LINE, rest="  ")
    return "\n".join(lines + [line for other in others for line in _wrapped(other)])


def _wrapped(text: str) -> list[str]:
    return wrapped(text.strip(), OTHER_LINES, first="  ", rest="    ")
