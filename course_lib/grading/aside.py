"""What reads students' text and may take long: a process beside the grader, which can be killed.

One string literal of 75,000 characters keeps a highlighter busy for minutes, inside a regular
expression, which holds Python's lock. In the grader's own process that would stop every worker.
Here it costs this one process (`reading_aside`), which is started again. What counts is the
processor time that a text takes, by the kernel's account: a busy machine makes nothing too dear.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ..checks.observe.wall import wire
from . import NotGraded

MAX_BYTES = 64 * 2**20  # of an answer
LONGEST_WAIT = 120.0  # where the machine gives it no processor time
TRIES = 3
PACKAGE = Path(__file__).resolve().parents[1]


class TooDear(Exception):
    """The text takes more time or memory to read than any text that is handed in honestly."""


class AsideLost(NotGraded):
    """The process cannot be started, or was ended by somebody else: no text is to blame."""


class Aside:
    """The grader's side: asks one question at a time, from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._process = None

    def ask(self, task: str, *arguments, seconds: int):
        """What a task of `reading_aside` says about these arguments, which are plain data.

        Args:
            seconds: how much processor time it may take.

        Raises:
            TooDear: it takes more, or more memory than there is for it.
            AsideLost: it could not be asked.
        """
        question = json.dumps([task, seconds, *arguments]).encode()
        with self._lock:
            for _ in range(TRIES):
                try:
                    answer = self._answer_to(question)
                except (wire.WireError, OSError) as error:
                    if self._end() == -signal.SIGXCPU:
                        raise TooDear(f"it takes more than {seconds} s to read") from None
                    reason = error
                    continue
                if "answer" in answer:
                    return answer["answer"]
                raise TooDear(answer["too dear"])
        raise AsideLost(f"the process that reads submitted text is lost: {reason}")

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _answer_to(self, question: bytes) -> dict:
        if self._process is None:
            self._process = _start()
        deadline = time.monotonic() + LONGEST_WAIT
        wire.write_frame(self._process.stdin.fileno(), question, deadline=deadline)
        reply = self._process.stdout.fileno()
        return json.loads(wire.read_frame(reply, max_bytes=MAX_BYTES, deadline=deadline))

    def _end(self) -> int | None:
        """How the process has ended; it is killed where it has not."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)  # its pipes close a moment before it has ended
        process.kill()
        process.stdout.close()
        return process.wait()


def _start() -> subprocess.Popen:
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", f"{__package__}.reading_aside"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the terminal is for the grader alone
    )
    os.set_blocking(process.stdin.fileno(), False)
    return process


ASIDE = Aside()  # one for the whole grader
atexit.register(ASIDE.close)
