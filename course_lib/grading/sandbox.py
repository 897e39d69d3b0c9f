"""Where submissions run: a warm process behind a wall, and the grader's side of that wall.

    with Sandbox() as sandbox:
        reply = sandbox.observe(job)

The wall is bubblewrap, one for each `Sandbox`: no network, no checkout, no gradebook, nothing to
write on. Behind it `course_lib/checks/observe/serve.py` forks for every job into namespaces of its
own. This side believes nothing that comes back: it reads with a deadline, up to a size, plain data.

Where an answer is itself a test (lesson 10), the implementations that it tries run behind a second
wall, and this side passes questions and answers from one to the other: it alone knows which
implementation is whose turn.
"""

import contextlib
import dataclasses
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from course_lib.checks.observe.wall import wire
from course_lib.checks.observe.wall.clock import LONGEST, MOST_IDLE

from . import NotGraded
from .consultation import Consultation
from .received import Limits, Received, WorkerLost, plain, reply_of
from .wall import FOR_PATIENTS, FOR_SUBMISSIONS, own_places, plain_command, walled_command

START_SECONDS = 120.0
GRACE_SECONDS = 15.0  # after its own deadline a worker has this long to clean up and to say so
PAUSES = (0.0, 0.5, 5.0)  # before each try to have a job done: what was short may come back


class SandboxMissing(RuntimeError):
    """This machine cannot put up the wall; the text says what to install or to allow."""


class Sandbox:
    """Runs submissions one after the other; use one for each worker of the grader.

    Linux ends the worker with the thread that made the sandbox; a later job then gets a new one.

    Args:
        mode: "bubblewrap" or, without any wall, "none".
        limits: what one job may take. A job's own `limits` may ask for other `wall_seconds`; all
            others are replaced by these.
        hide: files and folders that must not be seen inside even where they lie within the Python
            installation, which is otherwise there to read.

    Raises:
        SandboxMissing: bubblewrap is not installed, or the system refuses what it needs.
    """

    def __init__(
        self,
        mode: str = "bubblewrap",
        *,
        limits: Limits | None = None,
        hide: Iterable[Path] = (),
    ):
        if mode not in ("bubblewrap", "none"):
            raise ValueError(f'mode must be "bubblewrap" or "none", got {mode!r}.')
        if mode == "bubblewrap" and shutil.which("bwrap") is None:
            raise SandboxMissing(_NOT_INSTALLED)
        self.how = mode
        self.limits = limits or Limits()
        self._hide = [*hide, *own_places()]
        self._worker = self._patients = None
        self._is_closed = False
        self._worker = self._open(FOR_SUBMISSIONS)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and all that runs in them."""
        self._is_closed = True
        self._end_workers()

    def _end_workers(self) -> None:
        for worker in filter(None, (self._worker, self._patients)):
            worker.close()
        self._worker = self._patients = None

    def observe(self, job: dict) -> dict:
        """What the submission in `job` did: `{status, message, observations, seconds}`.

        Never raises for what a submission does. A worker that is lost is replaced, and the job
        tried again: it may have been somebody else who ended it.

        Raises:
            NotGraded: the sandbox itself failed at this job, every time.
        """
        if self._is_closed:
            raise RuntimeError("this sandbox is closed")
        seconds = job.get("limits", {}).get("wall_seconds", self.limits.wall_seconds)
        limits = dataclasses.replace(self.limits, wall_seconds=seconds)
        patients = [call.get("patient") for call in job["calls"]]
        calls = [{key: call[key] for key in call if key != "patient"} for call in job["calls"]]
        try:
            packed = wire.pack({**job, "calls": calls, "limits": dataclasses.asdict(limits)})
        except wire.TooLarge as error:
            return reply_of("refused", f"the answer is too long to be run: {error}")
        for pause in PAUSES:
            time.sleep(pause)
            try:
                self._worker = self._worker or self._open(FOR_SUBMISSIONS)
                with self._consulting(patients) as ask:
                    return self._worker.run(packed, len(calls), limits, ask)
            except (WorkerLost, SandboxMissing, OSError) as lost:
                reason = str(lost).partition("\n")[0] or "its process was ended"
                self._end_workers()
        raise NotGraded(f"the sandbox failed {len(PAUSES)} times ({reason})")

    def _open(self, shown: Mapping[str, Path], needs: str = "") -> "_Worker":
        """A worker that has shown, on a trivial job, that its walls stand.

        Raises:
            SandboxMissing: they do not.
        """
        worker = _Worker(self.how, self._hide, shown, needs)
        try:
            worker.wait_until_ready()
            reply = worker.run(wire.pack(_TRIVIAL_JOB), 0, Limits())
            problem = "" if reply["status"] == "done" else reply["message"]
        except (WorkerLost, OSError) as lost:
            problem = str(lost) or worker.complaint() or "no reason was given"
        except BaseException:
            worker.close()
            raise
        if problem:
            worker.close()
            raise SandboxMissing(_REFUSED.format(problem=problem, how=self.how))
        return worker

    @contextlib.contextmanager
    def _consulting(self, patients: list[dict | None]) -> Iterator[Callable | None]:
        """A function that puts a question to one of `patients`; None where there are none.

        They are kept by a worker of their own, which starts when the first are needed, and in a
        fork of it that ends with the job.
        """
        if not any(patients):
            yield None
            return
        if self._patients is None:
            self._patients = self._open(FOR_PATIENTS, "course_lib.bugs.patients")
        worker = self._patients
        limits = dataclasses.replace(
            self.limits, wall_seconds=self.limits.wall_seconds * MOST_IDLE + GRACE_SECONDS
        )
        calls = [{"probe": "consult", "patients": patients}]
        told = {"calls": calls, "limits": dataclasses.asdict(limits)}
        deadline = time.monotonic() + LONGEST * limits.wall_seconds
        try:
            with worker.doing(wire.pack(_CONSULTING_JOB | told), limits, asks=True) as pipes:
                yield Consultation(*pipes, deadline).ask
        finally:
            worker.stop()


class _Worker:
    """One warm process, and the socket to it."""

    def __init__(self, how: str, hide: Iterable[Path], shown: Mapping[str, Path], needs: str):
        self._control, inner = socket.socketpair()
        with inner, contextlib.ExitStack() as held:
            held.callback(self._control.close)
            self._complaints = held.enter_context(tempfile.TemporaryFile())
            folder = held.enter_context(
                tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True)
            )
            start = {"bubblewrap": walled_command, "none": plain_command}[how]
            command, environment = start(inner.fileno(), hide, Path(folder), shown)
            command += ["--import", needs] if needs else []
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=[inner.fileno()],
                start_new_session=True,  # an interrupt from the terminal is for the grader alone
            )
            self._held = held.pop_all()

    def close(self) -> None:
        """Kill the worker; within walls all that runs in it goes with it."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._held.close()

    def wait_until_ready(self) -> None:
        self._listen(time.monotonic() + START_SECONDS)

    def complaint(self) -> str:
        """The last line the worker left on its standard error."""
        self._process.kill()
        self._process.wait()
        self._complaints.seek(0)
        text = self._complaints.read(2**16).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else ""

    def run(
        self, packed_job: bytes, n_calls: int, limits: Limits, ask: Callable | None = None
    ) -> dict:
        """Have one job done.

        Args:
            ask: answers the questions that the job asks; None where it may ask none.

        Raises:
            WorkerLost: the worker has ended, cannot put up the walls, or makes no sense.
        """
        deadline = time.monotonic() + LONGEST * limits.wall_seconds + GRACE_SECONDS
        with self.doing(packed_job, limits, asks=ask is not None) as (replies, answers):

            def answer(which: int, question: dict) -> None:
                with contextlib.suppress(BrokenPipeError):  # it may have ended meanwhile
                    wire.write_frame(answers, ask(which, question), deadline=deadline)

            received = Received(n_calls, limits, answer if ask else None)
            received.read(replies, deadline)
        if received.problem:
            self._tell_to_stop()
        return received.reply(self._ended(deadline))

    @contextlib.contextmanager
    def doing(self, packed_job: bytes, limits: Limits, *, asks: bool) -> Iterator[tuple[int, int]]:
        """Have a job begun: the pipe of its replies, and one for what it waits for (or -1)."""
        replies, their_replies = os.pipe()
        their_answers, answers = os.pipe() if asks else (-1, -1)
        theirs = [their_replies, *([their_answers] if asks else [])]
        try:
            try:
                with tempfile.TemporaryFile() as file:
                    file.write(packed_job)
                    file.flush()
                    line = json.dumps({"limits": dataclasses.asdict(limits)}).encode() + b"\n"
                    socket.send_fds(self._control, [line], [file.fileno(), *theirs])
            finally:
                for fd in theirs:
                    os.close(fd)
            if asks:
                os.set_blocking(answers, False)
            yield replies, answers
        finally:
            os.close(replies)
            if asks:
                os.close(answers)

    def stop(self) -> None:
        """End the job that is being done.

        Raises:
            WorkerLost: it had never begun, or had been ended by the machine; or the worker has.
        """
        self._tell_to_stop()
        ending = self._ended(time.monotonic() + GRACE_SECONDS).get("ending")
        if ending in ("killed", "starved"):
            raise WorkerLost(f"an implementation to be tested was {ending}")

    def _ended(self, deadline: float) -> dict:
        ended = self._listen(deadline)
        if ended.get("ending") == "not started":
            raise WorkerLost(plain(str(ended.get("message"))))
        return ended

    def _tell_to_stop(self) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(b"stop\n")

    def _listen(self, deadline: float) -> dict:
        """The worker's next line."""
        ready, line = select.poll(), b""
        ready.register(self._control, select.POLLIN)
        while not line.endswith(b"\n") and len(line) < 2**16:
            if not ready.poll(1000 * max(0.0, deadline - time.monotonic())):
                raise WorkerLost("it did not answer in time")
            try:
                chunk = self._control.recv(4096)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise WorkerLost
            line += chunk
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise WorkerLost("it does not answer as it should")
        return said


_TRIVIAL_JOB = {
    "component": "answer",
    "modules": {},
    "setup": [
        "import os, torch",
        # What is imported later must be readable too, for whom a submission runs as.
        "for module in (os, torch): open(module.__file__).close()",
        # Half precision asks for the processor's description first.
        "torch.ones(2, 2, dtype=torch.float16) @ torch.ones(2, 2, dtype=torch.float16)",
    ],
    "earlier": [],
    "answer": "answer = torch.ones(1).add",
    "calls": [],
}
_CONSULTING_JOB = {
    "component": "admit",
    "modules": {},
    "setup": [],
    "earlier": [],
    "answer": "from course_lib.bugs.patients import admit",
}
_NOT_INSTALLED = """\
bubblewrap (the program `bwrap`) is not installed: submissions run behind it.
  Debian, Ubuntu   sudo apt install bubblewrap
  Fedora, RHEL     sudo dnf install bubblewrap
  Arch             sudo pacman -S bubblewrap
`course doctor` says what else is missing here."""
_REFUSED = """\
the sandbox ({how}) does not start on this machine: {problem}
bubblewrap needs user namespaces. Where they are forbidden, one of these allows them:
  sudo sysctl kernel.unprivileged_userns_clone=1               (older Debian)
  sudo sysctl user.max_user_namespaces=15000                   (RHEL)
  sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu 24.04 and later)
  docker run --privileged …                                    (in a container)
`course doctor` says what else is missing here."""
