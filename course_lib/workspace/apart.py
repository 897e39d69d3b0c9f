"""Judging in a process of its own, which can be stopped: an answer may never end.

The process stays, so that torch is loaded once; one that had to be stopped is replaced.
"""

import contextlib
import io
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons.answers import Answer
from course_lib.lessons.exercises import require_exercise

from .folder import WorkspaceError
from .importing import use_package

SECONDS = 20.0  # for one answer: a check takes less than one
LOADING = 300.0  # for torch, on a slow disk


@dataclass(frozen=True)
class Judged:
    """What became of one answer."""

    component: str
    passed: bool
    text: str


class Judge:
    """A process that judges one answer after the other.

    Args:
        workspace: the learner's folder.
        seconds: how long one answer may take.
    """

    def __init__(self, workspace: Path, *, seconds: float = SECONDS):
        self._workspace, self._seconds = workspace, seconds
        self._process = self._ours = None

    def module(self, component: str) -> Judged:
        """Judge what the learner's package defines."""
        return self._ask(component, None)

    def answer(self, component: str, answer: Answer) -> Judged:
        """Judge a notebook's answer, as the class would."""
        return self._ask(component, answer)

    def close(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._ours.close()
            self._process = self._ours = None

    def _ask(self, component: str, answer: Answer | None) -> Judged:
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._ours.send((component, answer))
            if self._ours.poll(self._seconds):
                return self._ours.recv()
            told = (
                f"{component} did not end within {self._seconds:g} s and was stopped: look for a "
                "loop that never ends, or sizes that grow"
            )
        except (EOFError, OSError):
            told = f"{component} ended the process that checked it: does it leave Python?"
        self.close()
        return Judged(component, False, told)

    def _start(self) -> None:
        self.close()
        apart = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self._ours, theirs = apart.Pipe()
        self._process = apart.Process(target=_serve, args=(self._workspace, theirs), daemon=True)
        self._process.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            if self._ours.poll(LOADING):
                self._ours.recv()


def _serve(workspace: Path, pipe) -> None:
    """Answer until the other end is gone."""
    import course_lib.checks  # noqa: F401 (it takes its time, which is nobody's answer's)

    with contextlib.suppress(EOFError, KeyboardInterrupt):
        pipe.send("ready")
        while True:
            component, answer = pipe.recv()
            silence = io.StringIO()  # what an answer prints would spoil the screen
            with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
                judged = _judge(workspace, component, answer)
            pipe.send(judged)


def _judge(workspace: Path, component: str, answer: Answer | None) -> Judged:
    from .notebook import judge_answer  # here, because it takes torch along
    from .terminal import check_package

    try:
        if answer is None:
            (result,) = check_package(workspace, [component])
            return Judged(component, result.passed, result.text)
        use_package(workspace)
        judged = judge_answer(require_exercise(component), answer)
        return Judged(component, judged.failure is None, judged.text)
    except WorkspaceError as failed:
        return Judged(component, False, str(failed))
