"""Attacks on the grader earn nothing, harm no neighbour and leave nothing: some of each kind here.

All of them run in `make attack`, which takes too long for `make test-all`.
"""

import os
import re
import signal
import tempfile
import time
from collections import Counter
from subprocess import PIPE, Popen

import pytest
from attacks import EARNS_ALL, KINDS, all_attacks, classroom, names_and_files
from attacks.classroom import FIRST, LAST, LESSON, Traces, by_course, by_nbgrader, faults

PER_KIND = 4
PLAIN = (0, 1, 4, 5, 6)  # those whose answers are to lesson 02, where the honest hand in as well


def sample():
    """The first few of each list of attacks, so that a class of them is graded in a minute."""
    found = []
    for kind in PLAIN:
        of_kind = [each for each in all_attacks() if each.kind == kind]
        found += of_kind[:: max(1, len(of_kind) // PER_KIND)][:PER_KIND]
    slow = "while True", "sleep"  # these take all the time that they may
    return [each for each in found if not any(word in each.source for word in slow)]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A class of some attackers between two honest students."""
    a_class = classroom.make_class(tmp_path_factory.mktemp("attacked"), sample())
    yield a_class
    classroom.remove(a_class)


@pytest.fixture(scope="module")
def graded(attacked, tmp_path_factory):
    """What `course grade` makes of it: the report, everybody's points, and what is left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        before = Traces.now()
        report, found = by_course(attacked)
        return report, found, Traces.left_since(before)


def test_there_are_enough_attacks_of_each_kind_and_each_has_its_own_name():
    attacks = all_attacks()
    assert len(attacks) >= 150
    assert {each.kind for each in attacks} <= set(KINDS)
    names = [(each.kind, each.component, each.name) for each in attacks]
    assert len(set(names)) == len(names)


def test_the_page_on_grading_counts_them():
    page = (classroom.ROOT / "book" / "grading.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| [^|]+ \| (\d+) \|", page, re.M)
    counted = Counter(each.kind for each in all_attacks())
    assert list(map(int, said)) == [counted[kind] for kind in sorted(counted)]


def test_an_attack_earns_nothing_and_an_odd_name_costs_nothing(attacked, graded):
    _, found, _ = graded
    assert faults(attacked, found) == []


def test_neighbours_of_attackers_keep_their_points(graded):
    report, found, _ = graded
    assert report.problems == []
    assert found[FIRST] == found[LAST]
    assert all(points > 0 for points in found[FIRST].values())


def test_an_attack_leaves_nothing_behind(graded):
    _, _, left = graded
    assert left == []


def test_what_is_left_is_told_from_what_a_process_from_before_starts_meanwhile():
    """A browser of another test, say, starts helpers of its own when it likes."""
    from_before = Popen(["sh", "-c", "read line; sleep 60 & wait"], stdin=PIPE, process_group=0)
    before = Traces.now()
    from_before.stdin.close()
    left = Popen(["sleep", "61"])
    try:
        while "sleep 60" not in str(Traces.now()):
            time.sleep(0.05)
        assert Traces.left_since(before, seconds=0) == [f"processes: ['{left.pid} sleep 61']"]
    finally:
        left.kill()
        os.killpg(from_before.pid, signal.SIGKILL)
        left.wait()
        from_before.wait()
    assert Traces.left_since(before) == []


def test_nbgrader_copies_and_believes_nothing_of_what_lies_there(tmp_path):
    """The links, pipes, devices and names: each of them stopped it, or came out in feedback."""
    beside = names_and_files.BESIDE[:9]
    others = [names_and_files.LINKS[5], names_and_files.NO_FILES[2]]
    names = [each for each in names_and_files.NAMES if "line" in each.name or "text" in each.name]
    a_class = classroom.make_class(tmp_path, [*beside, *others, *names])
    said, scores = by_nbgrader(a_class)
    assert scores[FIRST] == scores[LAST] > 0, said
    for student, attack in a_class.students.items():
        expected = scores[FIRST] if attack.expects == EARNS_ALL else 0
        assert scores[student] == expected, attack.name
        copied = os.listdir(a_class.course / "autograded" / student / LESSON)
        assert copied == [f"{LESSON}.ipynb"]
    classroom.remove(a_class)
