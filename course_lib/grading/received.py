"""What came back from a worker, read with a deadline, up to a size, and believed in nothing."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from course_lib.checks.observe.given.questions import MAX_BYTES as MAX_QUESTION
from course_lib.checks.observe.wall import wire

from . import NotGraded

MAX_MESSAGE = 2_000
MAX_NODES = 20_000  # the parts of one observation's tree
STATUSES = ("done", "refused", "failed", "memory", "not given")
_UNREADABLE = "sent something other than its observations to the grader"


@dataclass(frozen=True)
class Limits:
    """What one component of one submission may take."""

    wall_seconds: float = 20.0  # of its own: what it waits for a busy processor is not counted
    memory_bytes: int = 2 * 2**30
    scratch_bytes: int = 64 * 2**20
    reply_bytes: int = 128 * 2**20
    processes: int = 64  # threads count too


class WorkerLost(Exception):
    """The process behind the wall is gone, or talks nonsense, or was given nothing to work with.

    Whatever it was, it is no submission's doing, as far as anybody can see.
    """


class Received:
    """What came through a job's pipe: every byte of it may be the submission's own work.

    Args:
        answer: takes a question and the number of the call that it was asked in; None where
            nothing may be asked.
    """

    def __init__(
        self, n_calls: int, limits: Limits, answer: Callable[[int, dict], None] | None = None
    ):
        self.n_calls, self.limits, self.answer = n_calls, limits, answer
        self.observations = []
        self.end = None
        self.problem = None

    def read(self, fd: int, deadline: float) -> None:
        """Take frames until the writer is gone or does something it must not."""
        left = self.limits.reply_bytes
        while self.problem is None:
            try:
                most = max(left, MAX_QUESTION) if self.answer else left
                frame = wire.read_frame(fd, max_bytes=most, deadline=deadline)
                message = wire.unpack(frame, max_bytes=len(frame), max_nodes=MAX_NODES)
                if not self._answered(message):
                    if len(frame) > left:
                        raise wire.TooLarge
                    left = max(0, left - 8 - len(frame))
                    self._take(message)
            except wire.EndOfStream:
                return
            except wire.OutOfTime:
                raise WorkerLost("it did not end a job in time") from None
            except wire.TooLarge:
                text = f"answered with more than {_size(self.limits.reply_bytes)}"
                self.problem = ("too_large", text)
            except wire.WireError:
                self.problem = ("failed", _UNREADABLE)

    def _answered(self, message) -> bool:
        """Was it a question? Those take none of the room for observations."""
        match message:
            case {"question": dict(question), **rest} if (
                not rest and self.answer and self._expects_more()
            ):
                self.answer(len(self.observations), question)
                return True
        return False

    def _take(self, message) -> None:
        match message:
            case {"observation": dict(seen), **rest} if not rest and self._expects_more():
                self.observations.append(seen)
            case {"status": str(status), "message": str(text), **rest} if (
                not rest and self.end is None and status in STATUSES
            ):
                self.end = (status, text)
            case _:
                raise wire.WireError("not a message of a job")

    def _expects_more(self) -> bool:
        return self.end is None and len(self.observations) < self.n_calls

    def reply(self, ended: dict) -> dict:
        """The reply to a job whose process ended in this way."""
        status, message = self.problem or self._verdict(ended)
        seconds = ended.get("seconds")
        seconds = float(seconds) if isinstance(seconds, (int, float)) else 0.0
        return reply_of(status, plain(message), self.observations, seconds)

    def _verdict(self, ended: dict) -> tuple[str, str]:
        memory = f"asked for more than {_size(self.limits.memory_bytes)} of memory"
        timeout = f"ran longer than {self.limits.wall_seconds:.2g} s and was stopped"
        match ended.get("ending"):
            case "time":
                return "timeout", timeout
            case "memory":
                return "memory", memory
            case "processes":
                n = self.limits.processes
                return "died", f"started more than {n} processes or threads and was stopped"
            case "starved":
                raise NotGraded("the machine was too busy to run an answer")
        code, peak = ended.get("code"), ended.get("peak")
        if not isinstance(code, int) or not isinstance(peak, int):
            raise WorkerLost("it does not answer as it should")
        if ended.get("ending") == "killed" and 2 * peak <= self.limits.memory_bytes:
            raise WorkerLost("a job was killed by somebody else, perhaps for want of memory")
        if code == 0 and self.end is not None:
            status, message = self.end
            if status == "done" and len(self.observations) < self.n_calls:
                return "failed", _UNREADABLE
            if status == "not given":
                raise WorkerLost(f"what every submission is given cannot be run: {plain(message)}")
            return status, memory if status == "memory" else message
        if code >= 0:
            return "died", f"the process ended by itself (os._exit or a crash, exit code {code})"
        if -code == signal.SIGXCPU:
            return "timeout", timeout
        if 2 * peak > self.limits.memory_bytes:
            return "memory", memory
        return "died", f"the process crashed ({_signal_name(-code)})"


def reply_of(status: str, message: str, observations=(), seconds: float = 0.0) -> dict:
    return {
        "status": status,
        "message": message,
        "observations": list(observations),
        "seconds": seconds,
    }


def plain(text: str) -> str:
    """Text that can be shown in a terminal, a log and a page: short, and no control characters."""
    text = text[:MAX_MESSAGE]
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _size(n_bytes: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:g} {name}"
    return f"{n_bytes} bytes"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"
