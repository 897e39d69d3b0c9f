"""`course watch`: each save of a notebook or a module is judged at once, on one screen.

Two threads wait, one for a save and one for a key, and put what came into a queue. The loop takes
it out, has it judged, and shows the screen anew. What is on the screen is `watched.py`.
"""

import contextlib
import importlib.util
import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from course_lib.lessons.answers import Answers, NoAnswer
from course_lib.lessons.exercises import lesson_names, read_exercises, read_notebook
from course_lib.lessons.saved_cells import saved_cells
from course_lib.lessons.without_outputs import TooManyParts, without_outputs
from course_lib.own_files import Unreadable

from .apart import Judge, Judged
from .borrow import PACKAGE
from .folder import WorkspaceError
from .reading import definitions
from .watched import Watched


def watch(workspace: Path, *, show: Callable[[list[str]], None], key: Callable[[], str]) -> None:
    """Judge and show until `q` is pressed.

    Args:
        show: puts lines on the screen.
        key: waits for the next key.

    Raises:
        WorkspaceError: watchfiles is not installed.
    """
    if importlib.util.find_spec("watchfiles") is None:
        raise WorkspaceError(
            "watchfiles is not installed here. Install it: pip install 'build-a-transformer[learn]'"
        )
    events: queue.Queue[str | list[Path]] = queue.Queue()
    stop = threading.Event()
    for waiting in (_wait_for_saves(workspace, events, stop), _wait_for_keys(key, events)):
        threading.Thread(target=waiting, daemon=True).start()
    watched, judge = Watched(workspace), Judge(workspace)
    try:
        show(watched.lines())
        while (event := events.get()) != "q":
            if event == "a":
                event = [
                    *sorted(workspace.glob("*.ipynb")),
                    *sorted(workspace.glob(f"{PACKAGE}/*.py")),
                ]
            if isinstance(event, str):
                watched.press(event)
            else:
                for file in event:
                    _take(watched, judge, file)
            show(watched.lines())
    finally:
        stop.set()
        judge.close()


def _take(watched: Watched, judge: Judge, file: Path) -> None:
    """Judge what has been saved, and note what came of it."""
    name = file.relative_to(watched.workspace).as_posix()
    try:
        watched.take(judged_in(watched.workspace, file, judge), name)
    except WorkspaceError as error:
        watched.note = f"{name}: {error}"


def judged_in(workspace: Path, file: Path, judge: Judge) -> list[Judged]:
    """All that a learner has written in this file, judged; nothing if it is none of the course's.

    Raises:
        WorkspaceError: it cannot be read.
    """
    if file.suffix == ".ipynb" and file.parent == workspace and file.stem in lesson_names():
        return [judge.answer(name, answer) for name, answer in _answers(file)]
    if file.suffix == ".py" and file.parent == workspace / PACKAGE:
        return [judge.module(name) for name in _defined(file)]
    return []


def _answers(file: Path):
    """The answers in a saved notebook, by component; what is as it was handed out is left out."""
    try:
        cells = saved_cells(json.loads(without_outputs(file.read_bytes())))
    except (OSError, ValueError, TooManyParts, Unreadable) as error:
        raise WorkspaceError(f"it cannot be read: {error}") from None
    answers = Answers(cells, read_notebook(file.stem))
    for component in answers.exercises:
        with contextlib.suppress(NoAnswer):
            answer = answers.of(component)
            if not answer.is_untouched:
                yield component, answer


def _defined(file: Path) -> list[str]:
    """The components that a module of the learner's package defines."""
    try:
        names = definitions(file.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, SyntaxError, ValueError) as error:
        raise WorkspaceError(f"it cannot be read: {error}") from None
    every = (one for name in lesson_names() for one in read_exercises(read_notebook(name)))
    return [one.component for one in every if one.module == file.stem and one.component in names]


def _wait_for_saves(workspace: Path, events: queue.Queue, stop: threading.Event):
    def wait() -> None:
        import watchfiles

        def counts(change, path: str) -> bool:
            file = Path(path)
            is_ours = file.parent in (workspace, workspace / PACKAGE)
            return (
                is_ours and file.suffix in (".ipynb", ".py") and change != watchfiles.Change.deleted
            )

        for changes in watchfiles.watch(workspace, watch_filter=counts, stop_event=stop):
            events.put(sorted({Path(path) for _, path in changes}))

    return wait


def _wait_for_keys(key: Callable[[], str], events: queue.Queue):
    def wait() -> None:
        pressed = ""
        while pressed != "q":
            try:
                pressed = key()
            except (EOFError, KeyboardInterrupt):
                pressed = "q"
            events.put(pressed)

    return wait
