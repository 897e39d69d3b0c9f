"""`course.toml`: dates, grace, penalties, extensions, who is excused; nothing is judged again."""

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grading_fixtures import LESSON, hand_in, solved
from nbgrader.api import Gradebook

from course_lib.grading import GradingError, releases, run
from course_lib.grading.deadlines import FILE, Deadlines, read_deadlines
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.lessons.exercises import exercises_folder, read_exercises

ROOT = Path(__file__).resolve().parent.parent
FULL = 7
DUE = "2026-03-02T13:00:00+01:00"  # noon in UTC
PLAIN = f"""
[late]
percent_a_day = 20
at_most = 50
grace_minutes = 15

[{LESSON}]
due = {DUE}
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course with a class: ada in time, ben 2 hours late, cleo 10 days, dan with nothing."""

    def judge(notebook, observe, **about):
        return [
            {"component": each.component, "message": "", "diagnosis": "", "sandbox": "none",
             "points": each.points, "seconds": 0.0}
            for each in read_exercises(notebook)
        ]  # fmt: skip

    monkeypatch.setattr(run, "judge", judge)
    course = tmp_path / "course"
    shutil.copytree(exercises_folder() / LESSON, course / "exercises" / LESSON)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    with (course / "nbgrader_config.py").open("a") as config:
        config.write('\nc.ClassRules.times = "timestamp.txt"\n')
    for student, time in (("ada", "02 11:59"), ("ben", "02 14:00"), ("cleo", "12 12:00")):
        path = hand_in(course / "submitted", student, solved())
        path.with_name("timestamp.txt").write_text(f"2026-03-{time}:00 UTC")
    (course / "submitted" / "dan").mkdir()
    return course


def says(course, text):
    (course / FILE).write_text(text)


def grades(course):
    """What the table says, once it has been seen to be what the gradebook says."""
    out = course.parent / "out"
    report = grade_class(course / "submitted", out, root=course)
    assert report.problems == []
    total = {}
    for row in read_grades(out / "grades_long.csv"):
        total[row["student"]] = total.get(row["student"], 0) + row["points"]
    with Gradebook(f"sqlite:///{out}/gradebook.db") as book:
        for each in book.assignment_submissions(LESSON):
            score = each.score - (each.late_submission_penalty or 0)
            assert total[each.student_id] == pytest.approx(score)
    return report.judged, {student: round(points, 9) for student, points in total.items()}


def test_what_changes_in_the_file_counts_and_nothing_is_judged_again(course):
    in_time = {"ada": FULL, "ben": FULL, "cleo": FULL, "dan": 0}
    assert grades(course) == (3, in_time)
    says(course, PLAIN)
    assert grades(course) == (0, in_time | {"ben": 5.6, "cleo": 3.5})
    says(course, PLAIN.replace("grace_minutes = 15", "grace_minutes = 120"))
    assert grades(course) == (0, in_time | {"cleo": 3.5})
    says(course, PLAIN.replace("at_most = 50", "at_most = 100"))
    assert grades(course) == (0, in_time | {"ben": 5.6, "cleo": 0})
    says(course, PLAIN + 'extensions = { ben = 0.5, cleo = 8.5 }\nexcused = ["dan"]')
    assert grades(course) == (0, in_time | {"cleo": 4.2})
    says(course, PLAIN)  # and taken back
    assert grades(course) == (0, in_time | {"ben": 5.6, "cleo": 3.5})
    says(course, PLAIN + 'excused = ["cleo", "ben"]')
    assert grades(course) == (0, in_time)
    (course / FILE).unlink()
    assert grades(course) == (0, in_time)


def test_who_is_excused_has_no_zero(course):
    says(course, PLAIN + 'excused = ["dan"]')
    grades(course)
    rows = read_grades(course.parent / "out" / "grades_long.csv")
    of_dan = [row for row in rows if row["student"] == "dan"]
    assert {(row["basis"], row["max_points"], row["diagnosis"]) for row in of_dan} == {
        ("excused", 0, "")
    }
    (late,) = [row for row in rows if row["student"] == "ben" and row["basis"] == "late"]
    assert (late["points"], late["diagnosis"]) == (-1.4, "handed in 2:00:00 late")


def test_both_commands_give_the_same(course):
    text = PLAIN + "extensions = { cleo = 8.5 }"
    says(course, text)
    releases.release(LESSON, course)
    with (course / "nbgrader_config.py").open("a") as config:
        config.write('\nc.JudgeInSandbox.sandbox = "none"\n')
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", LESSON], cwd=course,
        env={**os.environ, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, expected = grades(course)
    assert (expected["ben"], expected["cleo"]) == (5.6, 4.2)
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        for each in book.assignment_submissions(LESSON):
            score = each.score - (each.late_submission_penalty or 0)
            assert score == pytest.approx(expected[each.student_id])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[late", "cannot be read"),
        ("[2_self_atention]", f"no lesson is called '2_self_atention'. Did you mean {LESSON}"),
        ("[late]\npercent = 3", r"\[late\] has no 'percent'. Did you mean percent_a_day"),
        ("late = 3", "late must be a table, got '3'"),
        ("[late]\npercent_a_day = 120", "late.percent_a_day must be a number from 0 to 100"),
        ("[late]\ngrace_minutes = true", "must be a number from 0 to 10080, got 'True'"),
        (f"[{LESSON}]\ndue = 2026-03-02T23:59:00", "must be a time with its offset"),
        (f"[{LESSON}]\ndue = 2026-03-02", "must be a time with its offset"),
        (f"[{LESSON}]\nexcused = 'ada'", r'must be a list of students: \["ada"\]'),
        (f"[{LESSON}]\nextensions = {{ ada = nan }}", "extensions.ada must be a number"),
    ],
)
def test_what_is_not_understood_is_told_before_anything_changes(course, text, words):
    grades(course)
    before = (course.parent / "out" / "grades_long.csv").read_bytes()
    says(course, text)
    with pytest.raises(GradingError, match=words):
        grade_class(course / "submitted", course.parent / "out", root=course)
    assert (course.parent / "out" / "grades_long.csv").read_bytes() == before


def test_the_example_in_the_docstring_is_read(tmp_path):
    from course_lib.grading import deadlines

    lines = deadlines.__doc__.split("\n\n")
    example = "\n\n".join(part for part in lines if part.startswith("    "))
    says(tmp_path, "\n".join(line[4:] for line in example.splitlines()))
    assert read_deadlines(tmp_path) == Deadlines(
        due={LESSON: datetime(2026, 3, 2, 22, 59)},
        extensions={(LESSON, "ada"): timedelta(days=3)},
        excused=frozenset({(LESSON, "ben")}),
        percent_a_day=10,
        at_most=50,
        grace=timedelta(minutes=15),
    )
