"""The sandbox: honest answers are observed, hostile ones end with a reply and leave nothing.

These tests need bubblewrap, and fail without it: a grader that cannot put up its wall must not be
taken for one that can.
"""

import dataclasses
import errno
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from course_lib.checks.observe.wall import jail
from course_lib.grading import NotGraded, wall
from course_lib.grading.sandbox import Limits, Sandbox, SandboxMissing

LIMITS = Limits(
    wall_seconds=2.0,
    memory_bytes=300 * 2**20,
    scratch_bytes=4 * 2**20,
    reply_bytes=2 * 2**20,
    processes=16,
)


HURRIED = dataclasses.replace(LIMITS, wall_seconds=0.5)
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]


def job(answer: str, *, n_calls: int = 2) -> dict:
    """The answer to a component `double`, called with a 3 × 5 array of ones."""
    call = {"probe": "function", "dtype": "float32", "device": "cpu", "kwargs": {}}
    return {
        "component": "double",
        "modules": {},
        "setup": ["import os, signal, sys, time", "import torch"],
        "earlier": [],
        "answer": textwrap.dedent(answer),
        "calls": [{**call, "args": [np.ones((3, 5))]} for _ in range(n_calls)],
    }


def doing(*lines: str) -> dict:
    """A job whose component does this when called, and then answers rightly."""
    body = textwrap.indent("\n".join(lines), "    ")
    return job(f"def double(x):\n{body}\n    return 2 * x\n")


def telling(expression: str, *lines: str) -> dict:
    """A job whose component raises an error that says what it found."""
    return doing(*lines, f"raise RuntimeError(repr(({expression})))")


def told(reply: dict) -> str:
    """What a `telling` job found."""
    assert reply["status"] == "done", reply
    error = reply["observations"][0]["error"]
    assert error["type"] == "RuntimeError", error
    return error["message"]


def errors(reply: dict) -> list[str]:
    """The classes of the errors seen in the calls."""
    assert reply["status"] == "done", reply
    return [seen["error"] and seen["error"]["type"] for seen in reply["observations"]]


def is_right(reply: dict) -> bool:
    return reply["status"] == "done" and all(
        seen["error"] is None and np.array_equal(seen["outputs"][0]["array"], np.full((3, 5), 2))
        for seen in reply["observations"]
    )


def processes_below(root: int) -> set[int]:
    """All processes that `root` started and that are still there, zombies too."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {root}


def serving(box: Sandbox) -> int:
    """The process id of the warm process, which is all that runs between two jobs."""
    root = box._worker._process.pid
    left = processes_below(root) or {root}  # without a wall it is the worker itself
    assert len(left) == 1
    return left.pop()


@pytest.fixture(scope="module")
def walled():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADEBOOK_PASSWORD", "sesame")
        box = Sandbox(limits=LIMITS)
    with box:
        yield box


@pytest.fixture(scope="module")
def plain():
    with Sandbox("none", limits=LIMITS) as box:
        yield box


@pytest.fixture
def box(walled):
    """A sandbox that must, after whatever a test did to it, be as good as before."""
    before = serving(walled)
    yield walled
    walled.limits = LIMITS
    assert is_right(walled.observe(doing("pass")))
    assert serving(walled) == before


def test_an_honest_answer_is_observed_call_by_call(box):
    reply = box.observe(doing("pass"))
    assert is_right(reply)
    assert len(reply["observations"]) == 2
    assert reply["message"] == ""
    assert 0 < reply["seconds"] < LIMITS.wall_seconds
    assert box.how == "bubblewrap"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_precision_works(box, dtype):
    """Half precision asks for the processor's description, which lies among what is hidden."""
    lines = [f"y = torch.eye(3, dtype=torch.{dtype}) @ x.to(torch.{dtype})"]
    lines += ["q = y[None, None]", "attend = torch.nn.functional.scaled_dot_product_attention"]
    assert is_right(box.observe(doing(*lines, "attend(q, q, q)", "x = y.float()")))


def test_an_error_within_a_call_is_part_of_the_observation(box):
    reply = box.observe(doing("raise KeyError('axis')"))
    assert errors(reply) == ["KeyError", "KeyError"]


def test_a_cell_that_does_not_define_its_component_is_refused(box):
    reply = box.observe(job("triple = 3"))
    assert reply["status"] == "refused"
    assert "double" in reply["message"]
    assert reply["observations"] == []


def test_borrowed_modules_can_be_imported_and_earlier_cells_are_there(box):
    answer = "from my_transformer.twice import twice\ndef double(x): return twice(x) * one"
    given = {"modules": {"twice": "def twice(x): return x + x"}, "earlier": ["one = 1"]}
    assert is_right(box.observe(job(answer) | given))


MANY_THREADS = """
try:
    for n in range(99): __import__('_thread').start_new_thread(time.sleep, (9,))
except RuntimeError: pass
time.sleep(9)
"""
STUBBORN = """
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
FORK_BOMB = "while True:\n    try: os.fork()\n    except OSError: pass"
SEND = "from observe.wall import wire; send = lambda value: wire.write_frame(3, wire.pack(value))"
END = "send({'status': 'done', 'message': ''})"
SHARED_MEMORY = """
import mmap
kept = []
while True:
    kept.append(mmap.mmap(-1, 2**24))
    kept[-1][:] = b"x" * 2**24
"""

# What a hostile answer does when called, how that must end, and a part of what is said about it.
HOSTILE = {
    "loops": (["while True: pass"], "timeout", "ran longer than"),
    "loops and heeds nothing": (STUBBORN.splitlines(), "timeout", "ran longer than"),
    "sleeps": (["time.sleep(1000)"], "timeout", "ran longer than"),
    "prints without end": (["while True: os.write(1, b'x' * 4096)"], "timeout", ""),
    "leaves": (["os._exit(0)"], "died", "ended by itself (os._exit or a crash, exit code 0)"),
    "leaves with a code": (["os._exit(7)"], "died", "exit code 7"),
    "crashes": (["import ctypes", "ctypes.string_at(0)"], "died", "SIGSEGV"),
    "aborts": (["os.abort()"], "died", "crashed"),
    "raises what nobody catches": (
        ["class Unusual(BaseException): pass", "raise Unusual('up')"],
        *("failed", "Unusual: up"),
    ),
    "raises what cannot be shown": (
        ["class Mute(BaseException):", "    def __str__(self): raise self", "raise Mute"],
        *("died", ""),
    ),
    "becomes another program": (["os.execv('/bin/true', ['true'])"], "died", "exit code 0"),
    "closes its reply": (["os.close(3)"], "died", ""),
    "answers with noise": (["os.write(3, bytes(range(64)))"], "too_large", "2 MiB"),
    "answers with empty frames": (["os.write(3, bytes(800))"], "failed", "other than its obs"),
    "answers without end": (["while True: os.write(3, b'x' * 65536)"], "too_large", "2 MiB"),
    "answers half a frame": (["os.write(3, b'\\0' * 7 + b'\\5ab')", "os._exit(0)"], "died", ""),
    "answers half a frame and waits": (
        ["os.write(3, b'\\0' * 7 + b'\\5ab')", "time.sleep(9)"],
        *("timeout", ""),
    ),
    "announces much": (["os.write(3, b'\\xff' * 8)"], "too_large", ""),
    "answers for the others": (
        [SEND, "for _ in range(9): send({'observation': {}})"],
        *("failed", ""),
    ),
    "says it is done": ([SEND, END], "failed", ""),
    "says it is done and leaves": ([SEND, END, "os._exit(0)"], "failed", ""),
    "says it is done and goes on": ([SEND, END, "time.sleep(9)"], "timeout", ""),
    "makes up a status": ([SEND, "send({'status': 'passed', 'message': ''})"], "failed", ""),
    "makes up a field": ([SEND, "send({'observation': {}, 'points': 5})"], "failed", ""),
    "answers many parts": ([SEND, "send({'observation': {'': [0] * 10**5}})"], "too_large", ""),
    "answers too much": (["return torch.zeros(10**6)"], "too_large", "more than 2 MiB"),
    "takes memory in many processes": (
        ["for _ in range(3): os.fork()", "kept = b'x' * 2**27", "time.sleep(9)"],
        *("memory", "asked for more than 300 MiB of memory"),
    ),
    "forks without end": (FORK_BOMB.splitlines(), "timeout", ""),
}


@pytest.mark.parametrize(("lines", "status", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_call_ends_with_a_reply_and_harms_nobody_else(box, lines, status, message):
    box.limits = HURRIED if status == "timeout" else LIMITS
    reply = box.observe(doing(*lines))
    assert (reply["status"], message in reply["message"]) == (status, True), reply
    assert set(reply) == {"status", "message", "observations", "seconds"}


@pytest.mark.parametrize("line", ["os._exit(0)", "os.kill(os.getpid(), 11)", "while True: pass"])
def test_a_hostile_cell_ends_with_a_reply(box, line):
    box.limits = HURRIED
    reply = box.observe(job(f"double = abs\n{line}"))
    assert reply["status"] in ("died", "timeout", "done")  # done: nobody kills the first process
    assert len(reply["observations"]) in (0, 2)


def test_observations_made_before_the_end_are_kept(box):
    answer = """
        calls = []
        def double(x):
            calls.append(1)
            if len(calls) == 2:
                os._exit(1)
            return 2 * x
    """
    reply = box.observe(job(answer, n_calls=3))
    assert reply["status"] == "died"
    assert len(reply["observations"]) == 1


@pytest.mark.parametrize("line", ["sys.exit()", "sys.exit('bye')", "raise SystemExit(0)"])
def test_leaving_politely_is_an_observed_error(box, line):
    assert errors(box.observe(doing(line))) == ["SystemExit"] * 2


def test_endless_recursion_harms_only_itself(box):
    reply = box.observe(
        job("""
            sys.setrecursionlimit(10**9)
            def double(x):
                return eval("double(x)", globals(), {"x": x})
        """)
    )
    assert reply["status"] in ("died", "memory", "done")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("torch.ones(10**10)", "RuntimeError"),
        ("bytearray(10**9)", "MemoryError"),
        ("grown = bytearray()\nwhile True: grown += bytes(10**7)", "MemoryError"),
        ("kept = [b'x']\nwhile True: kept += kept", "MemoryError"),
    ],
    ids=["torch", "at once", "bytes", "lists"],
)
def test_more_memory_than_allowed_is_an_observed_error(box, line, error):
    assert errors(box.observe(doing(*line.splitlines()))) == [error] * 2


def test_memory_up_to_the_limit_can_be_had(box):
    assert is_right(box.observe(doing("kept = torch.ones(50 * 2**20)")))


# What must be refused or absent, each with the error that says so.
FORBIDDEN = {
    "the passwords": ("open('/etc/passwd')", "FileNotFoundError"),
    "the checkout": (f"os.listdir({str(Path(__file__).parent)!r})", "FileNotFoundError"),
    "our package": ("import course_lib", "ModuleNotFoundError"),
    "root's home": ("open(os.path.expanduser('~root/.bashrc'))", "FileNotFoundError"),
    "processes": ("open('/proc/self/maps')", "FileNotFoundError"),
    "its parent": ("open('/proc/1/mem')", "FileNotFoundError"),
    "shared memory": ("open('/dev/shm/x', 'w')", "FileNotFoundError"),
    "memory that nobody counts": ("__import__('mmap').mmap(-1, 4096)", "PermissionError"),
    "memory of a device": (
        "__import__('mmap').mmap(os.open('/dev/zero', os.O_RDWR), 4096)",
        "PermissionError",
    ),
    "children that nobody counts": (
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "PermissionError",
    ),
    "memory files": ("os.memfd_create('x')", "PermissionError"),
    "the network": ("__import__('socket').create_connection(('127.0.0.1', 22))", "PermissionError"),
    "local sockets": ("__import__('socket').socket(1)", "PermissionError"),
    "writing to the course": ("open('/course/observe/x.py', 'w')", "OSError"),
    "writing to the root": ("open('/x', 'w')", "OSError"),
    "writing to python": ("open(os.__file__, 'a')", "OSError"),
    "becoming root": ("os.setuid(0)", "OSError"),
    "changing root": ("os.chroot('/')", "PermissionError"),
    "more processes": (
        "r = __import__('resource'); r.setrlimit(r.RLIMIT_NPROC, (99, 99))",
        "ValueError",
    ),
    "a big file": ("open('x', 'wb').write(bytes(2**23))", "OSError"),
    "big files": ("for n in range(9): open(str(n), 'wb').write(bytes(10**6))", "OSError"),
    "many files": ("for n in range(9999): open(str(n), 'w').close()", "OSError"),
    "open files": ("kept = [os.pipe() for _ in range(99)]", "OSError"),
    "many threads": (
        "for n in range(99): __import__('_thread').start_new_thread(time.sleep, (9,))",
        "RuntimeError",
    ),
    "many processes": ("for n in range(99): os.fork() or time.sleep(9)", "BlockingIOError"),
}


@pytest.mark.parametrize(("line", "error"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_a_submission_must_not_have_is_not_there(box, line, error):
    accepted = {error, "PermissionError"} if error == "OSError" else {error}
    assert set(errors(box.observe(doing(line)))) <= accepted


@pytest.mark.parametrize(
    "call",
    [
        *("unshare(0x10000000)", "unshare(0x20000)", "setns(3, 0)"),
        *("mount(b'x', b'.', b'tmpfs', 0, None)", "umount2(b'/proc', 2)"),
        *("ptrace(0, 0, 0, 0)", "shmget(0, 4096, 0o1600)"),
        f"syscall({CLONE}, 0x10000011, 0, 0, 0, 0)",
    ],
)
def test_system_calls_around_the_walls_are_refused(box, call):
    found = told(
        box.observe(
            telling(
                "answer, ctypes.get_errno()",
                "import ctypes",
                f"answer = ctypes.CDLL(None, use_errno=True).{call}",
            )
        )
    )
    assert found in (f"(-1, {errno.EPERM})", f"(-1, {errno.EINVAL})")


def test_a_child_gets_no_session_of_its_own(box):
    """Where Linux shares the processor by sessions, each would be one more share."""
    lines = ["if os.fork() == 0:", "    try: os.setsid()"]
    lines += ["    except PermissionError: os._exit(7)", "    os._exit(0)"]
    assert told(box.observe(telling("os.waitstatus_to_exitcode(os.wait()[1])", *lines))) == "7"


def test_only_python_and_the_system_can_be_seen(box):
    found = set(eval(told(box.observe(telling("sorted(os.listdir('/'))")))))
    system = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "nix", "etc", "sys"}
    installed = {Path(path).parts[1] for path in (sys.prefix, sys.base_prefix)}
    assert found <= system | installed | {"course", "dev", "proc", "scratch"}
    assert told(box.observe(telling("os.listdir('/etc')"))) in ("[]", "['ld.so.cache']")
    assert told(box.observe(telling("os.listdir('/proc')"))) == "['cpuinfo']"


def test_nothing_of_the_grader_is_inherited(box):
    assert told(box.observe(telling("'LANG' in os.environ"))) == "True"
    assert told(box.observe(telling("'sesame' in str(os.environ)"))) == "False"
    lines = ["found = []", "for fd in range(64):", "    try: os.fstat(fd); found.append(fd)"]
    assert told(box.observe(telling("found", *lines, "    except OSError: pass"))) == "[0, 1, 2, 3]"


def test_a_submission_is_nobody_and_alone(box):
    lines = ["import ctypes", "status = os.getpid(), os.getppid(), os.getgroups()"]
    assert told(box.observe(telling("status", *lines))).startswith("(1, 0, ")
    assert int(told(box.observe(telling("os.getuid()")))) != 0


def test_killing_everything_kills_nobody(box):
    lines = ["for number in (1, 2, 3, 9, 10, 15):"]
    lines += ["    if number != 9: signal.signal(number, signal.SIG_IGN)"]
    lines += ["    for pid in (-1, 0, os.getppid(), 2, 3, 4):"]
    lines += ["        try: os.kill(pid, number)", "        except OSError: pass"]
    assert is_right(box.observe(doing(*lines)))


def test_children_that_hide_are_dead_afterwards(box):
    lines = ["if os.fork() == 0:", "    os.setpgid(0, 0)", "    if os.fork() == 0:"]
    lines += ["        signal.signal(signal.SIGTERM, signal.SIG_IGN)", "        time.sleep(99)"]
    assert is_right(box.observe(doing(*lines, "    os._exit(0)")))
    # that nothing is left is checked by the fixture


def test_threads_that_stay_do_not_keep_the_job_open(box):
    line = "__import__('threading').Thread(target=time.sleep, args=(99,)).start()"
    assert is_right(box.observe(doing(line)))


def test_files_do_not_outlive_their_job(box):
    lines = ["for folder in ('.', os.environ['TMPDIR'], os.environ['HOME']):"]
    lines += ["    open(os.path.join(folder, 'note'), 'w').write('for the next')"]
    assert is_right(box.observe(doing(*lines)))
    assert told(box.observe(telling("os.getcwd(), os.listdir('.')"))) == "('/scratch', [])"


def test_a_patched_library_is_whole_again_in_the_next_job(box):
    lines = ["torch.Tensor.__mul__ = torch.Tensor.__rmul__ = lambda *_: torch.zeros(3, 5)"]
    lines += ["sys.modules['observe.wall.wire'].pack = None", "os.write = None"]
    assert not is_right(box.observe(doing(*lines)))
    # that the next one is right is checked by the fixture


def test_nothing_of_a_submission_stays_in_the_warm_process(box):
    marker = "".join(["marked", "by", "a", "submission"])
    reply = box.observe(telling("'marked' + 'by' + 'a' + 'submission'", f"# {marker}"))
    assert marker in told(reply)
    pid = serving(box)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(address, 16) for address in place.split("-"))
                memory.seek(start)
                assert marker.encode() not in memory.read(end - start)


def test_an_answer_too_long_to_be_sent_is_refused(box):
    reply = box.observe(job("double = abs\n#" + "," * 10**6))
    assert reply["status"] == "refused"
    assert "too long" in reply["message"]


def test_messages_hold_no_control_characters(box):
    reply = box.observe(doing("raise BaseException('\\x1b[2J red \\x07')"))
    assert reply["status"] == "failed"
    assert reply["message"].isprintable()


def test_a_worker_that_was_killed_is_replaced(walled):
    os.kill(serving(walled), signal.SIGKILL)
    assert is_right(walled.observe(doing("pass")))


def test_a_worker_that_is_killed_by_others_during_a_job_costs_the_submission_nothing(walled):
    killing = threading.Timer(0.3, os.kill, [serving(walled), signal.SIGKILL])
    killing.start()
    assert is_right(walled.observe(doing("time.sleep(0.4)")))
    killing.join()


def test_what_lies_within_the_installation_can_be_hidden():
    hidden = Path(pytest.__file__).parent
    with Sandbox(limits=LIMITS, hide=[hidden]) as box:
        assert told(box.observe(telling(f"os.listdir('{hidden}')"))) == "[]"
        assert errors(box.observe(doing(f"open('{hidden}/x', 'w')"))) != [None, None]


def test_an_installed_course_is_hidden(tmp_path):
    site = tmp_path / "lib" / "site-packages"
    (site / "course_lib").mkdir(parents=True)
    found = wall._places_within([site / "course_lib"], [tmp_path / "lib", Path("/usr")])
    assert found == [site / "course_lib"]


def test_when_the_grader_dies_the_worker_goes_too(tmp_path):
    program = """
        import os
        from course_lib.grading.sandbox import Sandbox
        box = Sandbox("none")
        walled = Sandbox()
        print(box._worker._process.pid, walled._worker._process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    for pid in done.stdout.split():
        wait_until_gone(int(pid))


def wait_until_gone(pid: int) -> None:
    for _ in range(200):
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def test_without_bubblewrap_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxMissing, match="apt install bubblewrap") as caught:
        Sandbox()
    for part in ("dnf install", "pacman -S", "course doctor"):
        assert part in str(caught.value)
    assert "none" not in str(caught.value)


def test_where_namespaces_are_refused_it_says_so(monkeypatch, tmp_path):
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxMissing, match="uid map: Permission denied") as caught:
        Sandbox()
    assert "sysctl" in str(caught.value)
    assert "none" not in str(caught.value)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="got 'docker'"):
        Sandbox("docker")


def test_a_closed_sandbox_says_so():
    box = Sandbox("none", limits=LIMITS)
    box.close()
    box.close()
    with pytest.raises(RuntimeError, match="closed"):
        box.observe(doing("pass"))


def test_without_a_wall_answers_are_observed_all_the_same(plain):
    assert plain.how == "none"
    assert is_right(plain.observe(doing("pass")))


WITHOUT_WALL = {
    **{name: HOSTILE[name] for name in ("loops", "leaves", "crashes", "answers without end")},
    "shares memory without end": (SHARED_MEMORY.splitlines(), "memory", "300 MiB"),
}


@pytest.mark.parametrize(("lines", "status", "message"), WITHOUT_WALL.values(), ids=WITHOUT_WALL)
def test_without_a_wall_the_limits_still_hold(plain, lines, status, message):
    plain.limits = HURRIED if status == "timeout" else LIMITS
    reply = plain.observe(doing(*lines))
    assert (reply["status"], message in reply["message"]) == (status, True), reply
    plain.limits = LIMITS
    assert is_right(plain.observe(doing("pass")))


def test_without_a_wall_threads_are_limited_even_for_root(plain):
    reply = plain.observe(doing(*MANY_THREADS.splitlines()))
    refused_by_the_system = reply["status"] == "timeout"
    assert refused_by_the_system or "more than 16 processes or threads" in reply["message"]


def test_without_a_wall_children_are_dead_and_files_gone_afterwards(plain):
    lines = ["if os.fork() == 0:", "    os.setsid()", "    if os.fork() == 0: time.sleep(99)"]
    assert is_right(plain.observe(doing(*lines, "    os._exit(0)")))
    folder = told(plain.observe(telling("os.getcwd()", "open('note', 'w').close()"))).strip("'")
    assert not Path(folder).exists()
    serving(plain)


def test_without_a_wall_a_killed_worker_is_replaced(plain):
    with pytest.raises(NotGraded, match="the sandbox failed 3 times"):
        plain.observe(doing("os.kill(os.getppid(), 9)"))
    assert is_right(plain.observe(doing("pass")))


def decision(rules, *, audit: int, number: int, flags: int = 0, kind: int = 0) -> int:
    """What the filter says to a system call: a small interpreter of its instructions."""
    words = {0: number, 4: audit, 16: flags, 40: kind}
    loaded, at = 0, 0
    while True:
        code, if_true, if_false, operand = rules[at]
        if code == 0x20:
            loaded = words[operand]
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: loaded & operand}[code]
            at += if_true if holds else if_false
        at += 1


@pytest.mark.parametrize(
    ("machine", "audit", "clone", "write", "unshare"),
    [("x86_64", 0xC000003E, 56, 1, 272), ("aarch64", 0xC00000B7, 220, 64, 97)],
)
def test_the_filter_lets_pass_what_it_should(machine, audit, clone, write, unshare):
    rules = jail.system_call_filter(machine)
    allow, kill, refuse = 0x7FFF0000, 0x80000000, 0x00050000
    assert decision(rules, audit=audit, number=write) == allow
    assert decision(rules, audit=audit, number=clone, flags=0x003D0F00) == allow  # a thread
    assert decision(rules, audit=audit, number=clone, flags=17) == allow  # a fork
    assert decision(rules, audit=audit, number=unshare) == refuse | errno.EPERM
    assert decision(rules, audit=audit, number=435) == refuse | errno.ENOSYS
    assert decision(rules, audit=audit, number=write | 0x40000000) == kill
    assert decision(rules, audit=0x40000003, number=write) == kill  # 32-bit calls
    sigaction = {"x86_64": 13, "aarch64": 134}[machine]
    assert decision(rules, audit=audit, number=sigaction, flags=15) == allow
    assert decision(rules, audit=audit, number=sigaction, flags=17) == refuse | errno.EPERM
    mmap = {"x86_64": 9, "aarch64": 222}[machine]
    shared_file, private, shared_nowhere = 0x01, 0x22, 0x21
    assert decision(rules, audit=audit, number=mmap, kind=shared_file) == refuse | errno.EPERM
    assert decision(rules, audit=audit, number=mmap, kind=private) == allow
    assert decision(rules, audit=audit, number=mmap, kind=shared_nowhere) == refuse | errno.EPERM
    for flag in (0x10000000, 0x20000000, 0x40000000, 0x00020000):
        found = decision(rules, audit=audit, number=clone, flags=flag | 17)
        assert found == refuse | errno.EPERM
