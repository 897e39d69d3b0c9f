"""A class with attackers among it: the honest get what they get without them, and in time.

The attacks are on the grader's time: text that is dear to read, and jobs that take the machine.
"""

import os
import textwrap
import time

import pytest
from grading_fixtures import LESSON, answer, hand_in, solved

from course_lib.grading import run
from course_lib.grading.budget import SECONDS
from course_lib.grading.received import Limits
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.grading.sample_class import bug_answer, bugs_handed_in, right_answers
from course_lib.grading.sandbox import Sandbox
from course_lib.lessons.exercises import exercises_folder

ONE_MORE = 20.0  # seconds: the job in which a budget ends may still take its own limit

_CHILDREN = """
import os, time
for _ in range(60):
    if os.fork() == 0:
        try: os.setsid()
        except OSError: pass
        while True: pass
time.sleep(1000)
"""
_FLEETING = """
import os, signal
try: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
except OSError: pass
while True:
    try:
        if os.fork() == 0:
            for _ in range(10**5): pass
            os._exit(0)
    except OSError: pass
"""
_SHARED = """
import mmap, os
kept = []
while True:
    kept.append(mmap.mmap(os.open("/dev/zero", os.O_RDWR), 2**24))
    kept[-1][:] = b"x" * 2**24
"""
_UNENDING_REPLY = """
import os
while True: os.write(3, b"x" * 2**16)
"""
# What every answer of an attacker does first.
ATTACKS = {
    "a dear literal": 'x = "%' + "0" * 75_000 + '"\n',
    "many children": _CHILDREN,
    "shared memory": _SHARED,
    "loops": "while True: pass\n",
    "fleeting children": _FLEETING,
    "many marks": "# " + "<" * 90_000 + "\n",
    "sleeps": "import time; time.sleep(1000)\n",
    "a reply without end": _UNENDING_REPLY,
    "many dear literals": "\n".join('x = "%' + "0" * 9_000 + '"' for _ in range(10)) + "\n",
    "leaves": "import os; os._exit(0)\n",
}
HARMLESS = ("a dear literal", "many marks", "many dear literals")  # right answers after all


def honest(number):
    """Every second one has mistakes in it."""
    notebook = solved()
    if number % 2:
        for component, bug in bugs_handed_in(LESSON, number // 2).items():
            answer(notebook, component, bug_answer(bug))
    return notebook


def attacking(begin):
    """Right answers, each of which begins by something else: what it needs of it runs with it."""
    notebook = solved()
    attack = textwrap.indent(begin, "    ")
    for component, source in right_answers(LESSON).items():
        wrapped = f"def begin(answer):\n{attack}    return answer\n\n\n@begin\n{source.lstrip()}"
        answer(notebook, component, wrapped)
    return notebook


def points(out):
    rows = read_grades(out / "grades_long.csv")
    return {(row["student"], row["component"]): row["points"] for row in rows}


def grade_with_and_without(folder, n_honest, attacks):
    """The points and the seconds of the same honest students, without the attackers and with."""
    found = []
    (folder / "exercises").symlink_to(exercises_folder())
    for name, among in (("alone", ()), ("attacked", attacks)):
        for number in range(n_honest):
            hand_in(folder / name, f"{number:02} honest", honest(number))
        for number, attack in enumerate(among):
            hand_in(folder / name, f"{3 * number:02} {attack}", attacking(ATTACKS[attack]))
        started = time.monotonic()
        report = grade_class(folder / name, folder / f"{name} grades", root=folder, workers=2)
        found.append((report, points(folder / f"{name} grades"), time.monotonic() - started))
    return found


def compare(alone, attacked, n_honest, attacks, most_seconds):
    (report_alone, before, seconds_alone), (report, after, seconds) = alone, attacked
    assert (report_alone.problems, report.problems) == ([], [])
    assert report.judged == n_honest + len(attacks)
    assert {key: after[key] for key in before} == before
    assert any(before.values())
    assert not all(before.values())
    for (student, _), earned in after.items():
        name = student[3:]
        assert earned == 0 or name == "honest" or name in HARMLESS
    assert seconds < 2 * seconds_alone + most_seconds, (seconds_alone, seconds)
    assert left_behind() == []


def left_behind():
    """Processes of this test that run a submission still."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as status, open(f"/proc/{pid}/cmdline") as command:
                fields = dict(line.partition(":")[::2] for line in status)
                if "observe.serve" in command.read() and fields["PPid"].strip() == str(os.getpid()):
                    found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_four_attackers_change_nothing_for_six_honest_students(tmp_path, monkeypatch):
    limits = Limits(wall_seconds=4.0)
    monkeypatch.setattr(run, "Sandbox", lambda mode, hide: Sandbox(mode, hide=hide, limits=limits))
    attacks = ["a dear literal", "many children", "shared memory", "fleeting children"]
    alone, attacked = grade_with_and_without(tmp_path, 6, attacks)
    # Each of four answers may take ten times its limit where a machine is busy.
    compare(alone, attacked, 6, attacks, most_seconds=len(attacks) * 4 * 10 * 4.0)


@pytest.mark.slow
def test_ten_attackers_change_nothing_for_thirty_honest_students(tmp_path):
    alone, attacked = grade_with_and_without(tmp_path, 30, list(ATTACKS))
    compare(alone, attacked, 30, ATTACKS, most_seconds=len(ATTACKS) * (SECONDS + ONE_MORE))
