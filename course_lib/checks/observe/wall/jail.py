"""The walls around one submission, put up from inside by the process that will run it.

`build_walls` enters fresh namespaces: no other process to see, no network, one private scratch
folder that ends with the process. `lock` then gives up every privilege, sets the limits and closes
the system calls that lead around them. All of it is ctypes, for neither Python 3.11 nor torch
brings it, and all of it is Linux; without walls (`--sandbox none`) only the limits are set.
"""

import contextlib
import ctypes
import errno
import fcntl
import math
import os
import platform
import resource
import struct

SCRATCH = "/scratch"
NOBODY = 65534
TIGHT = 256 * 2**20  # bytes; below this, what is freed must be there again at once
M_MMAP_THRESHOLD = -3

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP = 0x02000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_SET_SECCOMP = 4, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

_libc = ctypes.CDLL(None, use_errno=True)


class JailError(OSError):
    """The walls could not be put up; the submission has not been run."""


def _call(name: str, *args) -> None:
    """Call the C library; a failure becomes a JailError that names the call."""
    ctypes.set_errno(0)
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise JailError(code, f"{name} was refused: {os.strerror(code)}")


def _prctl(option: int, *args) -> None:
    padded = [*args, 0, 0, 0, 0][:4]
    _call("prctl", option, *[ctypes.c_ulong(arg) for arg in padded])


def adopt_orphans() -> None:
    """Make the processes that lose their parent below this one its own children."""
    with contextlib.suppress(AttributeError):  # not Linux
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def build_walls(*, scratch_bytes: int, inodes: int) -> None:
    """Enter new namespaces; the next process to be forked is the first one within.

    An ordinary user first makes a user namespace in which it may do this. Root needs none, and
    gives its identity away in `lock`.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        _call("unshare", CLONE_NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _call("unshare", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)
    _write("/proc/self/oom_score_adj", "1000")  # short of memory, the kernel ends this one first
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    options = f"size={scratch_bytes},nr_inodes={inodes},mode=0777"
    _mount("tmpfs", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, options)
    _hide_processes()


def _hide_processes() -> None:
    """An empty `/proc`, but for the description of the processor that torch's libraries read."""
    with open("/proc/cpuinfo") as file:
        processor = file.read()
    _mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=4M,nr_inodes=4,mode=0755")
    _write("/proc/cpuinfo", processor)
    _mount("tmpfs", "/proc", "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_RDONLY)


def _mount(source, target: str, kind, flags: int, options: str = "") -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), options.encode())


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        raise JailError(error.errno, f"{path} was refused: {error.strerror}") from None


def lock(limits: dict, *, uid: int | None, walls: bool, baseline: int) -> None:
    """Set the limits and, within walls, give up every privilege for good.

    Args:
        limits: `wall_seconds`, `memory_bytes`, `scratch_bytes`, `processes`.
        uid: whom to become, when root.
        baseline: bytes of data this process holds already, which are not counted against it.
    """
    os.umask(0o077)
    if limits["memory_bytes"] < TIGHT:
        _hand_back_what_is_freed()
    _set_limits(limits, baseline)
    if not walls:
        return
    if uid is not None:
        _become(uid)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    no_privileges = (ctypes.c_uint32 * 6)()
    _call("capset", struct.pack("=Ii", 0x20080522, 0), no_privileges)  # version 3, this process
    _prctl(PR_SET_DUMPABLE, 0)
    _forbid_system_calls()


def _hand_back_what_is_freed() -> None:
    """Give every large block pages of its own, which go back to the kernel when it is freed.

    In a heap small blocks that are kept lie between large ones that were freed, and nothing large
    fits there any more: a right answer then runs out of memory, or does not, by where its heap
    happens to begin.
    """
    with contextlib.suppress(AttributeError):  # another C library
        _libc.mallopt(M_MMAP_THRESHOLD, 128 * 2**10)


def _become(uid: int) -> None:
    """Drop root. A container may not know the worker's own uid: then there is `nobody`."""
    os.setgroups([])
    try:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _set_limits(limits: dict, baseline: int) -> None:
    """RLIMIT_DATA and not RLIMIT_AS, which counts address space that torch maps and never uses."""
    wanted = {
        "RLIMIT_CPU": 2 * math.ceil(limits["wall_seconds"]) + 1,
        "RLIMIT_DATA": baseline + limits["memory_bytes"],
        "RLIMIT_FSIZE": limits["scratch_bytes"],
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": limits["processes"],
        "RLIMIT_STACK": 8 * 2**20,
        "RLIMIT_CORE": 1,  # and not 0, at which a crash still starts the system's crash reporter
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))


def keep_only(*fds: int) -> list[int]:
    """Close every other file and give these the numbers from 3 on; 0 to 2 lead nowhere."""
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, 3 + len(fds)) for fd in fds]
    null = os.open(os.devnull, os.O_RDWR)
    for number, fd in enumerate([null, null, null, *kept]):
        os.dup2(fd, number)
    os.closerange(3 + len(fds), os.sysconf("SC_OPEN_MAX"))
    return list(range(3, 3 + len(fds)))


# System calls that lead around the walls, or to memory that no limit counts: their numbers on
# x86_64 and on aarch64. A socket has nobody to talk to here; forbidden, it fails at once. A session
# of one's own is a share of the processor of one's own, where Linux shares it by sessions.
_FORBIDDEN = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "pidfd_getfd": (438, 438),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_setup": (206, 0),
    "setsid": (112, 157),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_CLONE, _CLONE3, _MMAP, _SIGACTION = (56, 220), (435, 435), (9, 222), (13, 134)
_SIGCHLD = 17
_MAP_SHARED = 0x01
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_FOREIGN_CALLS = 0x40000000  # the numbers of x86_64's second table of calls begin here

# What a filter is made of: load a word of the call, compare, jump, return a decision.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _FOURTH_ARGUMENT = 0, 4, 16, 40
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000


def system_call_filter(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter's instructions `(code, jump if true, jump if false, operand)` for `machine`.

    `clone` may fork and start threads but enter no namespace; `clone3`, whose flags a filter cannot
    see, does not exist, and the C library falls back on `clone`. `mmap` gives no memory shared
    between processes, which RLIMIT_DATA does not count: neither from nowhere nor from a file. And
    nobody decides what becomes of children that have ended: those that are ignored, nobody counts.
    """
    column, audit = _ARCHITECTURES[machine]
    rules = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _FOREIGN_CALLS),
        (_RETURN, 0, 0, _KILL),
    ]
    answers = [(numbers[column], errno.EPERM) for numbers in _FORBIDDEN.values()]
    for number, code in [*answers, (_CLONE3[column], errno.ENOSYS)]:
        rules += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | code)]
    namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP
    namespaces |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
    return [
        *rules,
        (_IF_EQUAL, 0, 3, _SIGACTION[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 0, 9, _SIGCHLD),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
        (_IF_EQUAL, 0, 3, _MMAP[column]),
        (_LOAD, 0, 0, _FOURTH_ARGUMENT),
        (_IF_ANY_BIT, 0, 5, _MAP_SHARED),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
        (_IF_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, namespaces),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _forbid_system_calls() -> None:
    """Put the filter in place, for this process and all it starts, where the machine is known."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return
    rules = system_call_filter(machine)
    program = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(rules), ctypes.addressof(buffer))
    address = ctypes.create_string_buffer(header, len(header))
    _prctl(PR_SET_SECCOMP, 2, ctypes.addressof(address))
