"""How a sandbox's worker is started: behind bubblewrap, with what it may see and nothing else."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from course_lib.checks import observe

OBSERVE = Path(observe.__file__).resolve().parent

# What a worker sees of the course, by its place there: one that runs submissions, and one that
# runs what the tests of lesson 10 are tried on.
FOR_SUBMISSIONS = {"observe": OBSERVE}
FOR_PATIENTS = FOR_SUBMISSIONS | {
    f"course_lib/{name}": OBSERVE.parents[1] / name
    for name in ("__init__.py", "parsing.py", "transformer", "bugs")
}


def walled_command(
    fd: int, hide: Iterable[Path], folder: Path, shown: Mapping[str, Path]
) -> tuple[list[str], dict]:
    """How to start a worker behind bubblewrap, and its environment.

    As root there is no user namespace: each worker runs submissions under a user id of its own,
    for no limit binds root, and nobody else's processes count against theirs. Root within the wall
    keeps only what building the inner walls takes.
    """
    command = [shutil.which("bwrap"), "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments = ["--walls"]
    if os.geteuid() == 0:
        command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        for capability in ("SYS_ADMIN", "SETUID", "SETGID", "KILL"):
            command += ["--cap-add", f"CAP_{capability}"]
        arguments += ["--uid", str(2**30 + secrets.randbelow(2**29))]
    else:
        command += ["--unshare-all"]
    command += ["--hostname", "sandbox"]
    for option in _mounts(hide, shown):
        command += option
    command += ["--chdir", "/", "--", *_python(fd), *arguments]
    return command, _environment(["/course", *_site_folders()]) | {"HOME": "/scratch"}


def plain_command(
    fd: int, hide: Iterable[Path], folder: Path, shown: Mapping[str, Path]
) -> tuple[list[str], dict]:
    """How to start a worker with nothing around it."""
    for name, path in shown.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(path)
    return _python(fd), _environment([str(folder), *_site_folders()]) | {"HOME": str(folder)}


def _python(fd: int) -> list[str]:
    # The interpreter itself, not a virtual environment's link to it: what lies on the way of the
    # link is not there behind the wall. PYTHONPATH says where the packages are.
    return [os.path.realpath(sys.executable), "-BPs", "-m", "observe.serve", str(fd)]


def _environment(path: list[str]) -> dict:
    """Nothing of the grader's own environment; one thread, and hashes that repeat."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONHASHSEED": "0",
        "LANG": "C.UTF-8",
        "USER": "student",
        "LOGNAME": "student",
        **one_thread,
    }


def _site_folders() -> list[str]:
    """Where numpy, torch and what they import are installed."""
    packages = [Path(find_spec(name).origin).parents[1] for name in ("torch", "numpy")]
    others = [p for p in map(Path, sys.path) if p.name in ("site-packages", "dist-packages")]
    return list(dict.fromkeys(str(folder) for folder in [*packages, *others]))


def _mounts(hide: Iterable[Path], shown: Mapping[str, Path]) -> list[list[str]]:
    """What is there behind the wall, read-only: the system's programs, Python, and `shown`."""
    options = {Path("/usr"): ["--ro-bind", "/usr", "/usr"]}
    for path in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")):
        if path.is_symlink():
            options[path] = ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            options[path] = ["--ro-bind", str(path), str(path)]
    prefixes = [sys.prefix, sys.base_prefix, Path(os.path.realpath(sys.executable)).parents[1]]
    folders = [Path(prefix) / part for prefix in prefixes for part in ("bin", "lib", "lib64")]
    for path in [*folders, *map(Path, _site_folders())]:
        if path.is_dir() and path not in options:
            options[path] = ["--ro-bind", str(path), str(path)]
    hidden = _places_within(hide, options)
    for path in hidden:
        empty = ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", "/dev/null", str(path)]
        options[path] = empty
    for path in map(Path, ("/nix/store", "/etc/ld.so.cache", "/sys/devices/system/cpu")):
        options[path] = ["--ro-bind-try", str(path), str(path)]
    for name, path in shown.items():
        options[Path("/course", name)] = ["--ro-bind", str(path), f"/course/{name}"]
    options[Path("/proc")] = ["--proc", "/proc"]
    options[Path("/scratch")] = ["--dir", "/scratch"]
    for name in ("null", "zero", "full", "random", "urandom"):
        options[Path("/dev", name)] = ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for folder in {parent for path in options for parent in path.parents[:-1]} - set(options):
        options[folder] = ["--dir", str(folder)]  # bubblewrap's own are for root's eyes only
    outer_first = sorted(options, key=lambda path: len(path.parts))
    read_only = [["--remount-ro", str(path)] for path in [*hidden, Path("/")]]
    return [options[path] for path in outer_first] + read_only


def own_places() -> list[Path]:
    """The course itself: the package, the checkout around it, and the folder of a running class."""
    package = OBSERVE.parents[1]
    places = [package]
    if (package.parent / "pyproject.toml").exists():
        places.append(package.parent)
    if Path("nbgrader_config.py").exists():
        places.append(Path.cwd())
    return places


def _places_within(hide: Iterable[Path], bound: Iterable[Path]) -> list[Path]:
    """Where the things to hide would show up in what is bound."""
    hidden = [Path(os.path.realpath(path)) for path in hide]
    found = []
    for path in bound:
        real = Path(os.path.realpath(path))
        found += [path / place.relative_to(real) for place in hidden if place.is_relative_to(real)]
    return [place for place in found if place not in bound]
