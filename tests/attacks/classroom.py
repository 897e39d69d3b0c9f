"""A class of attackers between two honest students, graded by either command."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grading_fixtures import answer, cell_of, extra_cell, hand_in, pristine, solved
from nbgrader.api import Gradebook, MissingEntry

from course_lib.checks import find
from course_lib.checks.capstone import PACKAGE_CHECKS
from course_lib.grading import releases
from course_lib.grading.aside import ASIDE
from course_lib.grading.classroom import recorded
from course_lib.grading.records import read_grades
from course_lib.grading.run import Report, grade_class
from course_lib.grading.sample_class import package_with
from course_lib.lessons.exercises import exercises_folder
from course_lib.lessons.package_text import PACKAGE

from . import EARNS_ALL, EARNS_THE_CORE, FILES, NAME, NOTEBOOK, TEXT, Attack
from .form import PART

LESSON = "02_self_attention"
FIRST, LAST = "ada", "zoe"  # the honest ones: graded before and after all others
CAPSTONE = "12_capstone"
WHOLE = (FILES, NAME, NOTEBOOK, TEXT)  # attacks that are no answer to one component
ROOT = Path(__file__).resolve().parents[2]
OBSERVER = 2  # the kind that replaces one part of a right package
LIBRARY = 7  # the kind that a teacher's setting decides about
OF_THE_CORE = 0.7
OWNERS = 70_000  # where root makes the class, each student's files belong to an id from here on


@dataclass
class Class:
    """A class on disk.

    Args:
        place: where `course`, `submitted` and all else lies.
        students: whose attack is whose.
    """

    place: Path
    students: dict[str, Attack] = field(default_factory=dict)

    @property
    def course(self) -> Path:
        return self.place / "course"

    @property
    def submitted(self) -> Path:
        return self.course / "submitted"

    @property
    def out(self) -> Path:
        return self.place / "grades"


def lesson_of(attack: Attack) -> str:
    """Where it is handed in."""
    if attack.component in {check.name for check in PACKAGE_CHECKS}:
        return CAPSTONE
    if attack.component in WHOLE:
        return LESSON
    return find(attack.component).lesson


def make_class(place: Path, attacks: Iterable[Attack]) -> Class:
    """Write a course and a class into an empty folder."""
    a_class = Class(place)
    shutil.copytree(exercises_folder(), a_class.course / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", a_class.course)
    attacks = list(attacks)
    if any(attack.kind == LIBRARY for attack in attacks):
        with (a_class.course / "nbgrader_config.py").open("a", encoding="utf-8") as config:
            config.write('\nc.JudgeInSandbox.library = "no points"\n')
    for student in (FIRST, LAST):
        for lesson in {LESSON, *map(lesson_of, attacks)} - {CAPSTONE}:
            hand_in(a_class.submitted, student, solved(lesson), lesson)
    hand_in(place / "outside", "right", solved())
    hand_in(place / "outside", "blank", pristine())
    for number, attack in enumerate(attacks):
        folder = attack.source if attack.component == NAME else f"m{number:03}"
        a_class.students[recorded(folder)] = attack
        _hand_in(a_class, folder, attack)
    if os.geteuid() == 0:
        _give_away(a_class.submitted)
    return a_class


def _hand_in(a_class: Class, student: str, attack: Attack) -> None:
    lesson = lesson_of(attack)
    if attack.component == FILES:
        _run_script(a_class, student, attack.source)
    elif attack.component == TEXT:
        content = attack.source.encode("utf-8", "surrogateescape")
        hand_in(a_class.submitted, student, content, lesson)
    elif attack.component == NAME:
        hand_in(a_class.submitted, student, solved(), lesson)
    elif attack.component == NOTEBOOK:
        notebook = pristine()
        exec(attack.source, {"notebook": notebook, "cell_of": cell_of, "extra_cell": extra_cell})
        hand_in(a_class.submitted, student, notebook, lesson)
    elif lesson == CAPSTONE:
        path = hand_in(a_class.submitted, student, pristine(lesson), lesson)
        path.with_name(PACKAGE).mkdir()
        for name, text in _package(attack).items():
            path.with_name(PACKAGE).joinpath(f"{name}.py").write_text(text, encoding="utf-8")
    else:
        notebook = answer(pristine(lesson), attack.component, attack.source)
        hand_in(a_class.submitted, student, notebook, lesson)


def _package(attack: Attack) -> dict[str, str]:
    """The modules of an attack on the capstone: ours and one part of it, or a model alone."""
    if attack.kind == OBSERVER:
        return package_with({PART[attack.component]: attack.source})
    return {"model": attack.source}


def _run_script(a_class: Class, student: str, script: str) -> None:
    folder = a_class.submitted / student / LESSON
    folder.mkdir(parents=True)
    notebook = f"{LESSON}.ipynb"
    outside = a_class.place / "outside"
    names = {
        "LESSON": LESSON,
        "NOTEBOOK": notebook,
        "ME": student,
        "ADA": str(a_class.submitted / FIRST),
        "RIGHT": str(outside / "right" / LESSON / notebook),
        "BLANK": str(outside / "blank" / LESSON / notebook),
    }
    subprocess.run(["sh", "-c", script], cwd=folder, env={**os.environ, **names}, check=True)


def _give_away(submitted: Path) -> None:
    """Have each student's files belong to a user of their own; `FIRST` gets theirs last."""
    folders = sorted(submitted.iterdir(), reverse=True)
    for number, folder in enumerate(folders):
        for place in [folder, *(folder.rglob("*") if not folder.is_symlink() else ())]:
            os.chown(place, OWNERS + number, OWNERS + number, follow_symlinks=False)


def remove(a_class: Class) -> None:
    """Take a class away, also what nobody may enter."""
    subprocess.run(["chmod", "-R", "u+rwX", str(a_class.place)], check=False)
    shutil.rmtree(a_class.place)


# ------------------------------------------------------------------------------------- its grades


def by_course(a_class: Class, **options) -> tuple[Report, dict[str, dict[str, float]]]:
    """The report of `course grade`, and everybody's points by component."""
    report = grade_class(a_class.submitted, a_class.out, root=a_class.course, **options)
    ASIDE.close()  # it ends with the grader, which this process goes on to be
    found: dict[str, dict[str, float]] = {}
    for row in read_grades(a_class.out / "grades_long.csv"):
        found.setdefault(row["student"], {})[f"{row['lesson']} {row['component']}"] = row["points"]
    return report, found


def by_nbgrader(a_class: Class, lesson: str = LESSON, timeout: float = 3600) -> tuple[str, dict]:
    """What `nbgrader autograde` said of one lesson, and everybody's score; None without one."""
    releases.release(lesson, a_class.course)
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", lesson],
        cwd=a_class.course,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    said = done.stderr.decode("utf-8", "backslashreplace")
    scores = {}
    with Gradebook(f"sqlite:///{a_class.course}/gradebook.db") as book:
        for student in [FIRST, LAST, *a_class.students]:
            try:
                scores[student] = book.find_submission(lesson, student).score
            except MissingEntry:
                scores[student] = None
    return said, scores


def faults(a_class: Class, found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What `course grade` gave to attackers that it should not have, each as a sentence."""
    right = {key: points for key, points in found[FIRST].items() if key.startswith(LESSON)}
    wrong = []
    for student, attack in a_class.students.items():
        total = _earned(attack, found.get(student, {}))
        if attack.expects == EARNS_ALL and attack.component in WHOLE:
            got = found.get(student, {})
            is_so = {key: got.get(key) for key in right} == right
        elif attack.expects == EARNS_ALL:
            is_so = total == worth(attack)
        elif attack.expects == EARNS_THE_CORE:
            is_so = total == OF_THE_CORE * worth(attack)
        else:
            is_so = total == 0
        if not is_so:
            wrong.append(f"{attack.name!r} ({student}) {attack.expects}: it got {total:g}")
    return wrong


def _earned(attack: Attack, points: Mapping[str, float]) -> float:
    """All that it got; of the capstone, whose other parts are right, what its check gave."""
    is_whole = lesson_of(attack) != CAPSTONE or attack.kind != OBSERVER
    return sum(each for key, each in points.items() if is_whole or attack.component in key)


def worth(attack: Attack) -> float:
    """The points of the component that it answers."""
    check = cell_of(pristine(lesson_of(attack)), f"check-{attack.component}")
    return check["metadata"]["nbgrader"]["points"]


# --------------------------------------------------------------------------- what must not be left


@dataclass(frozen=True)
class Traces:
    """What a run might leave on the machine."""

    processes: Mapping[int, str]
    shared_memory: frozenset[str]
    temporary: frozenset[str]

    @classmethod
    def now(cls) -> "Traces":
        """What is there. Processes are those that descend from this one, with their commands."""
        return cls._but_for({})

    @classmethod
    def _but_for(cls, processes: Mapping[int, str]) -> "Traces":
        """What is there, without these processes and what they start: a test's browser, say."""
        memory = Path("/dev/shm")
        return cls(
            _descendants(os.getpid(), processes),
            frozenset(os.listdir(memory) if memory.is_dir() else ()),
            frozenset(each.name for each in Path(tempfile.gettempdir()).glob("course-*")),
        )

    @classmethod
    def left_since(cls, before: "Traces", seconds: float = 5) -> list[str]:
        """What was not there before, and still is when what was killed has had time to end."""
        deadline = time.monotonic() + seconds
        while (
            left := cls._but_for(before.processes)._since(before)
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _since(self, before: "Traces") -> list[str]:
        new = {
            "processes": [f"{pid} {command}" for pid, command in self.processes.items()],
            "shared_memory": sorted(self.shared_memory - before.shared_memory),
            "temporary": sorted(self.temporary - before.temporary),
        }
        return [f"{name}: {those}" for name, those in new.items() if those]


def _descendants(root: int, but_for: Collection[int]) -> dict[int, str]:
    """Every living process below `root` with its command, but for these and what is below them."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = re.search(r"\) (\S) (\d+)", (folder / "stat").read_text()).groups()
            command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
        except OSError:
            continue
        if state != "Z" and int(folder.name) not in but_for:
            parents[int(folder.name)] = int(parent)
            commands[int(folder.name)] = command[:200]
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return {pid: commands[pid] for pid in found - {root}}
