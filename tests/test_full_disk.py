"""A full disk, and a run that is killed: a sentence, no score, and everything there afterwards."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from grading_fixtures import LESSON, answer, hand_in, solved
from nbgrader.api import Gradebook
from sqlalchemy import event
from sqlalchemy.engine import Engine

from course_lib.cli import main
from course_lib.grading import run
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.lessons.exercises import exercises_folder, read_exercises

ROOT = Path(__file__).resolve().parent.parent
FULL = 7
STUDENTS = [f"student {number:02} {180 * 'x'}" for number in range(12)]  # a page takes few


def judge(notebook, observe, **about):
    problems = notebook["metadata"]["course"]["grading"]["problems"]
    return [
        {"component": each.component, "message": "", "diagnosis": "", "sandbox": "none",
         "points": 0.0 if each.component in problems else each.points, "seconds": 0.0}
        for each in read_exercises(notebook)
    ]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "judge", judge)
    monkeypatch.setattr(run, "PAUSES", (0.0,))
    shutil.copytree(exercises_folder() / LESSON, tmp_path / "course" / "exercises" / LESSON)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path / "course")
    hand_in(tmp_path / "class", STUDENTS[0], solved())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def full_disk():
    """No gradebook grows any more, for SQLite says that the disk is full."""

    def holds_no_more(connection, _):
        connection.execute("PRAGMA max_page_count = 1")  # in effect, as many as there are

    event.listen(Engine, "connect", holds_no_more)
    try:
        yield
    finally:
        event.remove(Engine, "connect", holds_no_more)


def points(out):
    total = {}
    for row in read_grades(out / "grades_long.csv"):
        total[row["student"]] = total.get(row["student"], 0) + row["points"]
    return total


COMMAND = ["grade", "--submitted", "class", "--out", "out", "--root", "course"]


def test_a_full_disk_is_a_sentence_and_no_score(place):
    grade_class(place / "class", place / "out", root=place / "course")
    for student in STUDENTS[1:]:
        hand_in(place / "class", student, solved())
    with full_disk():
        done = CliRunner().invoke(main, COMMAND)
    assert done.exit_code in (1, 2)
    assert "database or disk is full" in done.stderr
    assert "INSERT" not in done.output
    assert "Traceback" not in done.output
    have = points(place / "out")
    assert have[STUDENTS[0]] == FULL
    assert len(have) < len(STUDENTS)  # who was not recorded has no zero either
    assert set(have.values()) == {FULL}
    assert grade_class(place / "class", place / "out", root=place / "course").problems == []
    assert points(place / "out") == dict.fromkeys(STUDENTS, FULL)


@pytest.mark.parametrize("command", [COMMAND, ["release", LESSON, "--root", "course"]])
def test_a_disk_that_is_full_from_the_beginning_is_a_sentence(place, command):
    with full_disk():
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "database or disk is full" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.output
    assert not (place / "out" / "grades_long.csv").exists()


# ------------------------------------------------------------------------------------- kill -9


def killed_at(place, number):
    """Grade in a child that is killed at its write of this number; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = [number]

        def count(*_):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        replace = os.replace

        def counted(source, target):
            count()
            replace(source, target)
            count()

        os.replace = counted
        event.listen(Engine, "commit", count)
        try:
            grade_class(place / "class", place / "out", root=place / "course", workers=1)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow  # each of its dozen kills takes two runs
def test_a_run_killed_at_any_write_is_whole_after_the_next_and_marks_stay(place):
    grade_class(place / "class", place / "out", root=place / "course")
    ada = STUDENTS[0]
    with Gradebook(f"sqlite:///{place}/out/gradebook.db") as book:
        book.find_grade("check-softmax", LESSON, LESSON, ada).manual_score = 0.5
        book.find_comment("softmax", LESSON, LESSON, ada).manual_comment = "keep me"
        book.db.commit()
    hand_in(place / "class", ada, answer(solved(), "attention", "attention = None"))
    hand_in(place / "class", STUDENTS[1], solved())
    shutil.copytree(place / "out", place / "before")
    number, killed = 1, 0
    while killed_at(place, number):
        killed += 1
        report = grade_class(place / "class", place / "out", root=place / "course")
        assert report.problems == []
        assert points(place / "out") == {ada: FULL - 0.5, STUDENTS[1]: FULL}, number
        with Gradebook(f"sqlite:///{place}/out/gradebook.db") as book:
            for student, score in points(place / "out").items():
                assert book.find_submission(LESSON, student).score == score
            assert book.find_grade("check-softmax", LESSON, LESSON, ada).manual_score == 0.5
        page = place / "out" / "feedback" / ada / LESSON / f"{LESSON}.html"
        assert "keep me" in page.read_text()
        assert f"Score: {FULL - 0.5} / " in page.read_text()
        assert not list((place / "out").rglob("*.part"))
        shutil.rmtree(place / "out")
        shutil.copytree(place / "before", place / "out")
        number += 1 + number // 2
    assert killed >= 5
