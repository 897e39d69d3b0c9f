"""The class that `make course` grades: everybody gets what they deserve, by either command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from course_lib.bugs.capstone import find_package_bug
from course_lib.grading import releases
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.grading.sample_class import (
    BLANK,
    NOT_A_NOTEBOOK,
    PACKAGE_BUGS,
    PATCHES_THE_KERNEL,
    RIGHT,
    SKIPS_THE_CHECKS,
    WITH_BUGS,
    bugs_handed_in,
    make_sample_class,
)
from course_lib.lessons.exercises import (
    exercises_folder,
    lesson_names,
    read_exercises,
    read_notebook,
    read_package_checks,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
LESSONS = lesson_names()
WITH_EXERCISES = [name for name in LESSONS if read_exercises(read_notebook(name))]
WHOLE = [name for name in LESSONS if read_package_checks(read_notebook(name))]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course root with the sample class in its `submitted` folder."""
    course = tmp_path_factory.mktemp("course")
    shutil.copytree(exercises_folder(), course / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    make_sample_class(course / "submitted")
    return course


@pytest.fixture(scope="module")
def grades(course, tmp_path_factory):
    """The rows of the class's grades, by student and component."""
    out = tmp_path_factory.mktemp("grades") / "out"
    report = grade_class(course / "submitted", out, root=course)
    assert report.problems == []
    rows = read_grades(out / "grades_long.csv")
    return {(row["student"], row["component"]): row for row in rows}


def of(grades, student):
    return [row for (name, _), row in grades.items() if name == student]


def test_the_right_student_gets_everything(grades):
    assert all(row["points"] == row["max_points"] for row in of(grades, RIGHT))


@pytest.mark.parametrize("student", [BLANK, PATCHES_THE_KERNEL, SKIPS_THE_CHECKS, NOT_A_NOTEBOOK])
def test_who_wrote_no_answer_gets_nothing_and_a_reason(grades, student):
    rows = of(grades, student)
    assert rows
    assert all(row["points"] == 0 and row["diagnosis"] for row in rows)


@pytest.mark.parametrize(("number", "student"), list(enumerate(WITH_BUGS)))
@pytest.mark.parametrize("lesson", WITH_EXERCISES)
def test_bugs_are_named_and_everything_else_keeps_its_points(grades, lesson, number, student):
    bugs = bugs_handed_in(lesson, number)
    assert bugs
    for (name, component), row in grades.items():
        if name != student or row["lesson"] != lesson:
            continue
        if component in bugs:
            assert row["diagnosis"] == bugs[component].title
            assert row["points"] < row["max_points"]
        else:
            assert row["points"] == row["max_points"], row


@pytest.mark.parametrize("lesson", WHOLE)
@pytest.mark.parametrize("student", PACKAGE_BUGS)
def test_a_package_with_one_bug_loses_one_check(grades, lesson, student):
    bug = find_package_bug(PACKAGE_BUGS[student])
    rows = [row for row in of(grades, student) if row["lesson"] == lesson]
    failed = [row["component"] for row in rows if row["points"] < row["max_points"]]
    assert failed == [bug.caught_by]
    assert all(bool(row["diagnosis"]) == (row["component"] in failed) for row in rows)


def nbgrader(course, *args):
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *args],
        cwd=course,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("lesson", [*WITH_EXERCISES, *WHOLE])
def test_nbgrader_autograde_gives_every_student_the_same_score(course, grades, lesson):
    releases.release(lesson, course)
    done = nbgrader(course, "autograde", lesson)
    assert done.returncode == 0, done.stderr
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        for student in sorted({name for name, _ in grades}):
            expected = sum(r["points"] for r in of(grades, student) if r["lesson"] == lesson)
            assert book.find_submission(lesson, student).score == pytest.approx(expected), student


@pytest.mark.parametrize("cheat", [PATCHES_THE_KERNEL, SKIPS_THE_CHECKS])
def test_stock_nbgrader_gives_a_cheat_full_marks(cheat, tmp_path):
    """Why the three steps are replaced: nbgrader as it comes believes the submission."""
    lesson = LESSONS[0]
    shutil.copytree(ROOT / "solutions" / lesson, tmp_path / "source" / lesson)
    make_sample_class(tmp_path / "class")
    shutil.copytree(tmp_path / "class" / cheat / lesson, tmp_path / "submitted" / cheat / lesson)
    assert nbgrader(tmp_path, "generate_assignment", lesson, "--create").returncode == 0
    done = nbgrader(tmp_path, "autograde", lesson)
    assert done.returncode == 0, done.stderr
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        submission = book.find_submission(lesson, cheat)
        assert submission.max_score > 0
        assert submission.score == submission.max_score
