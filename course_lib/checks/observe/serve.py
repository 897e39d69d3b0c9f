"""The warm process behind a sandbox: it has imported torch once and forks for every answer.

From the socket that the grader holds it reads one line of JSON for each job, with open files
beside it: the job, a pipe for the reply and, where a job asks questions of another or answers
them, a pipe for what comes back. All go to the fork, which alone reads and writes them, so nothing
of a submission ever enters this process or the forks after it. It never runs an operation of
torch either: torch's threads do not survive a fork.

What it tells the grader is how the fork ended: by itself, or stopped here for the time, the
memory or the processes it took, or ended by the machine. When the grader is gone the socket
closes, and everything ends.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import tempfile
import time

import torch

from .given import questions
from .load.answer import AnswerRefused, NothingGiven, load_answer, short
from .load.package import load_package
from .observing import observe_call
from .wall import jail, wire
from .wall.clock import MOST_IDLE, Clock

START_SECONDS = 20.0
LOOK_SECONDS = 0.05  # how often memory and processes are counted
LONGEST_PAUSE = 0.01
JOB_AND_REPLY = 2  # the files of a job that asks nobody
SCRATCH_INODES = 4096


def serve(control: socket.socket, *, walls: bool, uid: int | None) -> None:
    """Do the jobs that come through `control`, one after the other, until its other end closes."""
    jail.adopt_orphans()
    gc.collect()
    gc.freeze()  # a fork's garbage collector shall not touch, and so copy, what is shared
    say(control, {"ready": True})
    while True:
        data, fds, _, _ = socket.recv_fds(control, 2**16, 3)
        if not data:
            return
        if fds:  # otherwise it is a "stop" that came too late
            request = json.loads(data.splitlines()[-1])
            say(control, do_job(control, request["limits"], fds, walls=walls, uid=uid))


def say(control: socket.socket, message: dict) -> None:
    """Send one line of JSON to the grader."""
    control.sendall(json.dumps(message).encode() + b"\n")


def do_job(control, limits: dict, fds: list[int], *, walls: bool, uid: int | None) -> dict:
    """Have a fork do one job; how that ended. Nothing the job started is left afterwards."""
    scratch = jail.SCRATCH if walls else tempfile.mkdtemp(dir=os.environ["HOME"])
    try:
        pid, problem = start_fork(control, limits, fds, scratch, walls=walls, uid=uid)
        if problem:
            return {"ending": "not started", "message": problem}
        most_idle = MOST_IDLE if len(fds) > JOB_AND_REPLY else 1.0
        ended = Watch(pid, limits, control, most_idle).wait()
        if walls and ended["code"] == -signal.SIGKILL and ended["ending"] == "by itself":
            # The first process of a namespace cannot do that itself. The kernel can: RLIMIT_CPU.
            out_of_time = ended["seconds"] > limits["wall_seconds"]
            ended["ending"] = "time" if out_of_time else "killed"
        return ended
    finally:
        end_everything()
        if not walls:
            shutil.rmtree(scratch, ignore_errors=True)


def start_fork(control, limits, fds, scratch: str, *, walls: bool, uid: int | None):
    """A process that does the job within its walls: `(pid, "")`, or `(0, what went wrong)`.

    It reports its pid and, once no way back is left, "locked"; then it runs the submission.
    """
    report, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        in_fork(control, limits, fds, writer, scratch, walls=walls, uid=uid)
    for fd in (writer, *fds):
        os.close(fd)
    said = dict(line.partition(" ")[::2] for line in read_report(report).splitlines())
    os.close(report)
    if walls:
        os.waitpid(pid, 0)
    if "locked" in said and "pid" in said:
        return int(said["pid"]), ""
    return 0, said.get("problem", "the process that should run the answer did not start")


def read_report(fd: int) -> str:
    """What the fork says before it runs the submission, which never holds this pipe."""
    text, deadline = b"", time.monotonic() + START_SECONDS
    ready = select.poll()
    ready.register(fd, select.POLLIN)
    while ready.poll(max(0, 1000 * (deadline - time.monotonic()))):
        chunk = os.read(fd, 4096)
        if not chunk:
            break
        text += chunk
    return text.decode()


def in_fork(control, limits, fds, report: int, scratch: str, *, walls: bool, uid: int | None):
    """Build the walls, lock the door, do the job. Never returns.

    Walls take a second fork: its child is the first process of the new namespaces, and when that
    one ends, so does every other in there. The one in between has nothing more to do.
    """
    try:
        baseline = Footprint.of_process("self").data
        if walls:
            jail.build_walls(scratch_bytes=limits["scratch_bytes"], inodes=SCRATCH_INODES)
            inner = os.fork()
        else:
            inner = os.getpid()
        if inner:
            os.write(report, b"pid %d\n" % inner)
        if walls and inner:
            return
        os.setsid()  # a signal to one's own group crosses the walls: let it meet nobody
        control.detach()
        job = wire.unpack(read_all(fds[0]), max_bytes=2**40)
        reply, report, *answers = jail.keep_only(fds[1], report, *fds[2:])
        os.chdir(scratch)
        os.environ |= dict.fromkeys(("HOME", "TMPDIR"), scratch)
        tempfile.tempdir = None
        jail.lock(limits, uid=uid, walls=walls, baseline=baseline)
        os.write(report, b"locked\n")
        os.close(report)
        if answers:
            questions.connect(reply, answers[0])
        answer(job, reply)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(report, f"problem {error}\n".encode())
    finally:
        os._exit(0)


def read_all(fd: int) -> bytes:
    """The whole of an open file, from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as file:
        return file.read()


def answer(job: dict, reply: int) -> None:
    """Run the submission: a frame for every observation as it is made, and one for the end."""
    status, message = "done", ""
    try:
        torch.set_num_threads(1)
        component = load_package(job) if "package" in job else load_answer(job)
        for call in job["calls"]:
            wire.write_frame(reply, wire.pack({"observation": observe_call(component, call)}))
    except AnswerRefused as refusal:
        status, message = "refused", str(refusal)
    except NothingGiven as error:
        status, message = "not given", str(error)
    except MemoryError:
        status = "memory"
    except BaseException as error:
        status, message = "failed", f"{type(error).__name__}: {short(error)}"
    wire.write_frame(reply, wire.pack({"status": status, "message": message[:2000]}))


class Footprint:
    """What processes take, by the kernel's account in `/proc`; nothing where there is none."""

    def __init__(self, text: str = ""):
        fields = dict(line.partition(":")[::2] for line in text.splitlines())
        self.parent, self.threads, *sizes = (
            int(fields.get(name, "0").split()[0])
            for name in ("PPid", "Threads", "VmData", "RssAnon", "RssShmem", "VmSwap", "VmPTE")
        )
        self.data, *resident = (1024 * size for size in sizes)
        self.resident = sum(resident)

    @classmethod
    def of_process(cls, pid: int | str) -> "Footprint":
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                return cls(file.read())
        except OSError:
            return cls()

    @classmethod
    def below(cls, root: int) -> "dict[int, Footprint]":
        """Those of all processes that `root` started, directly or not."""
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()] if PROC else []
        everyone = {pid: cls.of_process(pid) for pid in pids}
        found, parents = {}, {root}
        while parents:
            new = {pid: it for pid, it in everyone.items() if it.parent in parents}
            parents = set(new) - set(found)
            found |= new
        return found


PROC = os.path.isdir("/proc/self")


class Watch:
    """Waits for a job's process, and stops it when it takes more than it may."""

    def __init__(self, pid: int, limits: dict, control: socket.socket, most_idle: float):
        self.pid, self.limits, self.control = pid, limits, control
        self.clock = Clock(pid, limits["wall_seconds"], most_idle * limits["wall_seconds"])
        self.own = Footprint.of_process("self").resident  # every fork shares this

    def wait(self) -> dict:
        """How the process ended: `ending`, exit `code` (or minus its signal), and what it took:
        `peak` of memory, `seconds` of its own time."""
        ending, pause, look = "by itself", 0.001, time.monotonic() + LOOK_SECONDS
        asked = select.poll()
        asked.register(self.control, select.POLLIN)
        while not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            reason, now = self.clock.over(), time.monotonic()
            if now > look:
                reason = reason or self.excess()
                look = now + LOOK_SECONDS + 5 * (time.monotonic() - now)
            if asked.poll(1000 * pause):
                reason = "stopped" if self.control.recv(4096) else "abandoned"
            if reason:
                ending = reason
                self.kill()
                break
            pause = min(2 * pause, LONGEST_PAUSE)
        seconds = self.clock.own()
        _, status, usage = os.wait4(self.pid, 0)
        seconds = max(seconds, usage.ru_utime + usage.ru_stime)
        code = os.waitstatus_to_exitcode(status)
        shared = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = 1024 * max(0, usage.ru_maxrss - shared)
        return {"ending": ending, "code": code, "peak": peak, "seconds": seconds}

    def kill(self) -> None:
        """End the process and its group. Within walls all others end with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)

    def excess(self) -> str:
        """What the job's processes together take too much of, if anything.

        The limits set inside bind one process each, and not the memory that processes share.
        """
        below = Footprint.below(os.getpid())
        footprints = below.values()
        n_threads = sum(it.threads for it in footprints)
        self.clock.look(below, n_threads)
        if sum(max(0, it.resident - self.own) for it in footprints) > self.limits["memory_bytes"]:
            return "memory"
        if n_threads > self.limits["processes"]:
            return "processes"
        return ""


def end_everything() -> None:
    """Kill and reap whatever is left below this process, until nothing is."""
    while True:
        for pid in Footprint.below(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run by the grader; not meant for a terminal.")
    parser.add_argument("socket", type=int)
    parser.add_argument("--walls", action="store_true")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--import", dest="imports", help="what jobs need, to have it ready")
    options = parser.parse_args()
    if options.imports:
        importlib.import_module(options.imports)
    serve(socket.socket(fileno=options.socket), walls=options.walls, uid=options.uid)


if __name__ == "__main__":
    main()
