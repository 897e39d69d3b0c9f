"""What of the wall stands on this machine: each part is tried, not looked up.

examine()   one `Finding` for each part; grading is trusted where all that is needed stands
"""

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import GradingError, NotGraded
from .deadlines import FILE, read_deadlines
from .received import Limits
from .sandbox import Sandbox, SandboxMissing

LIMITS = Limits(
    wall_seconds=1.0,
    memory_bytes=300 * 2**20,
    scratch_bytes=4 * 2**20,
    reply_bytes=2 * 2**20,
    processes=16,
)
WORKERS = 2  # as `course grade` has them
WARM_BYTES = 600 * 2**20  # of a worker that has imported torch
DISK_BYTES = 200 * 2**20
CONTROLLERS = {"cpu", "memory", "pids"}


@dataclass(frozen=True)
class Finding:
    """One part of the wall, or something that a class takes."""

    name: str
    stands: bool
    said: str
    needed: bool = True  # for grades that can be trusted
    advice: str = ""  # how to get it


@dataclass(frozen=True)
class Attempt:
    """Something that a submission must not manage, and how its failure shows."""

    name: str
    what: str
    answer: str
    ends_in: tuple[str, ...]  # the class of an error, or the status of the whole job


ATTEMPTS = (
    Attempt("files", "read /etc/passwd", "open('/etc/passwd')", ("FileNotFoundError",)),
    Attempt(
        "processes of others", "read /proc/1/mem", "open('/proc/1/mem')", ("FileNotFoundError",)
    ),
    Attempt(
        "system calls (seccomp)",
        "open a socket",
        "__import__('socket').socket()",
        ("PermissionError",),
    ),
    Attempt(
        "namespaces",
        "make one more",
        "__import__('ctypes').CDLL(None).unshare(0x10000000) == 0 or 1 / 0",
        ("ZeroDivisionError",),
    ),
    Attempt(
        "memory limit", "take 600 MiB of 300", "bytearray(600 * 2**20)", ("MemoryError", "memory")
    ),
    Attempt(
        "process limit",
        "start 99 threads of 16",
        "for n in range(99): __import__('_thread').start_new_thread(time.sleep, (9,))",
        ("RuntimeError", "died"),
    ),
    Attempt(
        "disk limit",
        "write 16 MiB of 4",
        "for n in range(4): open(str(n), 'wb').write(bytes(2**22))",
        ("OSError",),
    ),
    Attempt("time limit", "loop for ever", "while True: pass", ("timeout",)),
)


def examine() -> Iterator[Finding]:
    """What stands and what does not, in the order in which it is needed."""
    is_linux = platform.system() == "Linux"
    yield Finding("system", is_linux, platform.system(), advice="grade on Linux, or in a container")
    program = shutil.which("bwrap")
    advice = "sudo apt install bubblewrap (or dnf install, pacman -S)"
    yield Finding("bubblewrap", bool(program), program or "not installed", advice=advice)
    try:
        with Sandbox(limits=LIMITS) as box:
            text = "starts, as root" if os.geteuid() == 0 else "starts, in user namespaces"
            yield Finding("wall", True, text)
            yield from (_tried(box, attempt) for attempt in ATTEMPTS)
    except (SandboxMissing, NotGraded, OSError) as missing:
        said, _, advice = str(missing).partition("\n")
        yield Finding("wall", False, said, advice=advice)
    yield from _what_a_class_takes()


def is_trusted(findings: Iterable[Finding]) -> bool:
    """Whether grades from this machine can be trusted."""
    return all(finding.stands for finding in findings if finding.needed)


def _tried(box: Sandbox, attempt: Attempt) -> Finding:
    call = {"probe": "function", "dtype": "float32", "device": "cpu", "kwargs": {}}
    job = {
        "component": "attempt",
        "modules": {},
        "setup": ["import time"],
        "earlier": [],
        "answer": f"def attempt(x):\n    {attempt.answer}\n    return x",
        "calls": [{**call, "args": [np.ones(1)]}],
    }
    reply = box.observe(job)
    ended = reply["status"]
    if ended == "done":
        error = reply["observations"][0].get("error")
        ended = error["type"] if error else "success"
    stands = ended in attempt.ends_in
    said = f"to {attempt.what} {'is refused' if stands else 'is not refused'} ({ended})"
    return Finding(attempt.name, stands, said, advice="report this: the wall has a hole here")


def _what_a_class_takes() -> Iterator[Finding]:
    counted = Path("/proc/self/schedstat").exists()
    yield Finding(
        "own time",
        counted,
        "waiting for a busy processor is not counted" if counted else "only processor time counts",
        needed=False,
        advice="a kernel with CONFIG_SCHED_INFO, as distributions have it",
    )
    room = _available_memory()
    takes = WORKERS * (Limits().memory_bytes + WARM_BYTES)
    yield Finding(
        "memory",
        room is None or room >= takes,
        "unknown"
        if room is None
        else f"{_gib(room)} are free; {WORKERS} workers may take {_gib(takes)}",
        needed=False,
        advice="course grade --workers 1, or close other programs: what is short is not graded",
    )
    free = min(shutil.disk_usage(place).free for place in (tempfile.gettempdir(), "."))
    yield Finding("disk", free >= DISK_BYTES, f"{_gib(free)} are free", advice="make some room")
    is_there = bool(importlib.util.find_spec("notebook"))
    yield Finding(
        "formgrader",
        is_there,
        "course formgrader can show a class" if is_there else "Jupyter's server is not installed",
        needed=False,
        advice="pip install notebook: without it there are the table and the pages",
    )
    yield _deadlines(Path.cwd())
    group = own_group()
    yield Finding(
        "control group",
        bool(group),
        f"{group} may be divided" if group else "none of cpu, memory and pids is ours to give",
        needed=False,
        advice="the grader does without one: the limits above hold all the same",
    )


def _deadlines(root: Path) -> Finding:
    """What the course's file of due dates says, where there is one."""
    try:
        found = read_deadlines(root)
    except GradingError as error:
        return Finding("due dates", False, str(error), advice="no class is graded until it is")
    if not (root / FILE).exists():
        return Finding("due dates", True, f"no {FILE} here: nbgrader's gradebook has them, if any")
    percent = found.percent_a_day
    costs = "nbgrader's settings say what late costs" if percent is None else f"{percent:g} % a day"
    said = f"{FILE}: {len(found.due)} due, {costs}, {len(found.excused)} excused"
    return Finding("due dates", True, said)


def own_group(process: Path = Path("/proc/self")) -> Path | None:
    """This process's control group (v2), if it may be divided among workers."""
    try:
        groups = (process / "cgroup").read_text().splitlines()
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        name = next(line.removeprefix("0::/") for line in groups if line.startswith("0::"))
        root = next(fields[4] for fields in mounts if "cgroup2" in fields)
        group = Path(root, name)
        has = set((group / "cgroup.controllers").read_text().split())
    except (OSError, StopIteration):
        return None
    is_ours = os.access(group / "cgroup.subtree_control", os.W_OK)
    return group if has >= CONTROLLERS and is_ours else None


def _available_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return 1024 * next(found, 0)


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
