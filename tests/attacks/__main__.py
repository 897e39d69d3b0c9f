"""Grade a class of attackers and say what came of it: `make attack`, or `python -m attacks`.

Twice: by `course grade` all attacks, by `nbgrader autograde` those on files, names and notebooks
and one in ten of the others. Started by root, it runs once more as an ordinary user.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from . import EARNS_ALL, FILES, KINDS, NAME, NOTEBOOK, TEXT, Attack, all_attacks
from .classroom import (
    FIRST,
    LAST,
    LESSON,
    ROOT,
    Traces,
    by_course,
    by_nbgrader,
    faults,
    lesson_of,
    make_class,
    remove,
)
from .names_and_files import OWNED

NOBODY = 65534
BECOME_SUBREAPER = 36  # prctl: what our children leave behind becomes our child


def chosen(kind: int | None, words: str) -> list[Attack]:
    """The attacks to run; without root some cannot be made."""
    return [
        each
        for each in all_attacks()
        if kind in (None, each.kind) and words in each.name
        if os.geteuid() == 0 or each not in OWNED
    ]


def for_nbgrader(attacks: list[Attack]) -> list[Attack]:
    """Those in which its own way with files matters, and a sample of the rest."""
    theirs = [each for each in attacks if lesson_of(each) == LESSON]
    own = [each for each in theirs if each.component in (FILES, NAME, NOTEBOOK, TEXT)]
    return own + [each for each in theirs if each not in own][::10]


def course_grade(attacks: list[Attack], place: Path, workers: int) -> list[str]:
    """What `course grade` did wrong, each as a sentence."""
    _, alone = by_course(make_class(place / "alone", []), workers=workers)
    a_class = make_class(place / "attacked", attacks)
    before, started = Traces.now(), time.perf_counter()
    report, found = by_course(a_class, workers=workers)
    seconds, left = time.perf_counter() - started, Traces.left_since(before)
    wrong = faults(a_class, found)
    wrong += _harmed({name: _of_lesson(found[name]) for name in (FIRST, LAST)}, alone)
    wrong += [f"not graded: {problem}" for problem in report.problems]
    remove(a_class)
    print(f"course grade: {len(attacks)} attackers in {seconds:.0f} s")
    return wrong + [f"left behind: {each}" for each in left]


def nbgrader_autograde(attacks: list[Attack], place: Path) -> list[str]:
    """What `nbgrader autograde` did wrong, each as a sentence."""
    a_class = make_class(place / "by-nbgrader", attacks)
    before, started = Traces.now(), time.perf_counter()
    said, scores = by_nbgrader(a_class)
    seconds, left = time.perf_counter() - started, Traces.left_since(before)
    full, wrong = scores[FIRST], []
    if not full or scores[LAST] != full:
        wrong.append(f"the honest got {full} and {scores[LAST]}: {said[-2000:]}")
    for student, attack in a_class.students.items():
        expected = full if attack.expects == EARNS_ALL else 0
        if (scores[student] or 0) != expected:
            wrong.append(f"{attack.name!r} ({student}) {attack.expects}: it got {scores[student]}")
    copied = a_class.course / "autograded"
    for path in copied.rglob("*"):
        if path.is_symlink() or (path.is_file() and path.name != f"{LESSON}.ipynb"):
            wrong.append(f"copied: {path.relative_to(copied)!s}")
    remove(a_class)
    print(f"nbgrader autograde: {len(attacks)} attackers in {seconds:.0f} s")
    return wrong + [f"left behind: {each}" for each in left]


def _of_lesson(points: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in points.items() if key.startswith(LESSON)}


def _harmed(found: dict, alone: dict) -> list[str]:
    """The neighbours whose points are not those of a class without attackers."""
    return [
        f"{name} got {found[name]}, and {alone[name]} without attackers"
        for name in (FIRST, LAST)
        if found[name] != alone[name]
    ]


def as_ordinary_user(arguments: list[str]) -> int:
    """The same once more by a user without root's rights, though with its files; its status."""
    print("Once more, as an ordinary user:", flush=True)
    become = ["bwrap", "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    command = [*become, "--dev-bind", "/", "/", "--", sys.executable, "-m", "attacks", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    """Run the attacks; 1 if one of them came through."""
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__)
    parser.add_argument("--kind", type=int, choices=KINDS, help="only attacks of this kind")
    parser.add_argument("--name", default="", help="only attacks whose name holds this")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)
    attacks = chosen(options.kind, options.name)
    for kind, number in sorted(Counter(each.kind for each in attacks).items()):
        print(f"  {number:3} of kind {kind}, {KINDS[kind]}", flush=True)
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        os.chmod(folder, 0o755)
        place = Path(folder)
        temporary = place / "tmp"
        temporary.mkdir()
        kept = os.environ.get("TMPDIR", "")
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)  # to see what is left there
        wrong = course_grade(attacks, place, options.workers)
        wrong += nbgrader_autograde(for_nbgrader(attacks), place)
    tempfile.tempdir, os.environ["TMPDIR"] = None, kept
    print("\n".join(wrong) or "Nothing came through, and nothing is left behind.", flush=True)
    failed = bool(wrong)
    if os.geteuid() == 0:
        failed |= as_ordinary_user(sys.argv[1:]) != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
