"""What a run takes from the teacher's course: its releases, its settings, its gradebook."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from grading_fixtures import LESSON, cell_of, hand_in, solved
from nbgrader.api import Gradebook

from course_lib.cli import main
from course_lib.grading import GradingError, releases, run
from course_lib.grading.course import gradebook_url, roster
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.lessons.exercises import exercises_folder, read_exercises

ROOT = Path(__file__).resolve().parent.parent
FULL = 7


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson, released once; every answer that was written is right."""

    def judge(notebook, observe, **about):
        problems = notebook["metadata"]["course"]["grading"]["problems"]
        return [
            {"component": each.component, "message": "", "diagnosis": "", "sandbox": "none",
             "points": 0.0 if each.component in problems else each.points, "seconds": 0.0}
            for each in read_exercises(notebook)
        ]  # fmt: skip

    monkeypatch.setattr(run, "judge", judge)
    course = tmp_path / "course"
    shutil.copytree(exercises_folder() / LESSON, course / "exercises" / LESSON)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    return course


def says(course, line):
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f"\n{line}\n")


def edit(course, change):
    path = course / "exercises" / LESSON / f"{LESSON}.ipynb"
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def two_more_points(notebook):
    cell_of(notebook, "check-softmax")["metadata"]["nbgrader"]["points"] = 3


def made_from(release):
    notebook = solved()
    notebook["metadata"]["course"]["release"] = release
    return notebook


def points(out):
    total = {}
    for row in read_grades(out / "grades_long.csv"):
        total[row["student"]] = total.get(row["student"], 0) + row["points"]
    return total


# ------------------------------------------------------------------------------------- releases


def test_from_another_folder_the_releases_are_named_or_missed(course, tmp_path, monkeypatch):
    edit(course, two_more_points)
    edit(course, lambda notebook: notebook["metadata"]["course"].update(release="0123456789ab"))
    first = releases.release(LESSON, course)
    hand_in(tmp_path / "class", "ada", made_from(first.hash))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    command = ["grade", "--submitted", "../class", "--out", "../out"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"not graded: made for release {first.hash}, which is not in {elsewhere}" in done.stderr
    assert "--root" in done.stderr
    assert f"for {elsewhere}/releases/{LESSON} holds no release" in done.stdout
    assert points(tmp_path / "out") == {}
    done = CliRunner().invoke(main, [*command, "--root", "../course"])
    assert done.exit_code == 0, done.stderr
    assert f"release {first.hash} (number 1) in {course}/releases/{LESSON}" in done.stdout
    assert points(tmp_path / "out") == {"ada": FULL + 2}


def test_a_release_that_is_not_there_is_the_teachers_to_decide_about(course, tmp_path):
    newest = releases.release(LESSON, course)
    hand_in(tmp_path / "class", "ada", made_from("aaaaaaaaaaaa"))
    hand_in(tmp_path / "class", "ben", made_from(""))
    hand_in(tmp_path / "class", "cleo", made_from("no release at all"))
    report = grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert report.not_graded == [f"ada {LESSON}"]
    assert f"there is {newest.hash}" in report.problems[0]
    assert points(tmp_path / "out") == {"ben": FULL, "cleo": FULL}
    says(course, 'c.ClassRules.unknown_releases = "newest"')
    report = grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert (report.problems, report.judged) == ([], 1)
    assert points(tmp_path / "out") == {"ada": FULL, "ben": FULL, "cleo": FULL}
    notes = {row["student"]: row["note"] for row in read_grades(tmp_path / "out/grades_long.csv")}
    assert notes["ada"].startswith("the file names release 'aaaaaaaaaaaa'; graded as")
    assert notes["ben"].startswith("the file names no release")


def test_a_notebook_that_was_changed_by_hand_is_another_release(course):
    first = releases.release(LESSON, course)
    edit(course, two_more_points)
    second = releases.release(LESSON, course)
    assert (first.number, second.number) == (1, 2)
    assert second.hash != first.hash
    assert releases.current(LESSON, course).hash == second.hash  # what is handed out says so
    with Gradebook(gradebook_url(course)) as book:
        assert book.find_assignment(LESSON).max_score == FULL + 2
    assert releases.release(LESSON, course).number == 2
    edit(course, lambda notebook: cell_of(notebook, "softmax").update(outputs=[], id="other"))
    assert releases.release(LESSON, course).number == 2  # opened in Jupyter, and nothing changed


def test_what_was_released_last_is_the_newest(course):
    whole = (course / "exercises" / LESSON / f"{LESSON}.ipynb").read_text()
    first = releases.release(LESSON, course)
    edit(course, two_more_points)
    releases.release(LESSON, course)
    (course / "exercises" / LESSON / f"{LESSON}.ipynb").write_text(whole)
    again = releases.release(LESSON, course)
    assert (again.hash, again.number) == (first.hash, 3)
    assert releases.choose(LESSON, "", course)[0].hash == first.hash
    with Gradebook(gradebook_url(course)) as book:
        assert book.find_assignment(LESSON).max_score == FULL


# ---------------------------------------------------------------------------- gradebook, roster


@pytest.mark.parametrize("where", ["{place}/central.db", "ours.db"])
def test_the_gradebook_that_the_settings_name_is_the_courses(course, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    says(course, f"c.CourseDirectory.db_url = 'sqlite:///{where.format(place=tmp_path)}'")
    path = tmp_path / "central.db" if "place" in where else course / "ours.db"
    releases.release(LESSON, course)
    assert path.exists()
    assert not (course / "gradebook.db").exists()
    with Gradebook(f"sqlite:///{path}") as book:
        assert book.find_assignment(LESSON).max_score == FULL
        book.update_or_create_assignment(LESSON, duedate="2026-03-02 12:00:00")
        book.add_student("zoe")
    hand_in(tmp_path / "class", "ada", solved())
    grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert points(tmp_path / "out") == {"ada": FULL, "zoe": 0}
    with Gradebook(f"sqlite:///{tmp_path}/out/gradebook.db") as book:
        assert str(book.find_assignment(LESSON).duedate) == "2026-03-02 12:00:00"


def test_a_setting_that_is_no_database_is_told(course):
    says(course, "c.CourseDirectory.db_url = 'gradebook.db'")
    with pytest.raises(GradingError, match=r"must be the address of a database.*'gradebook.db'"):
        releases.release(LESSON, course)


def test_the_table_holds_everybody_of_the_roster(course, tmp_path):
    releases.release(LESSON, course)
    with Gradebook(gradebook_url(course)) as book:
        for student in ("ada", "ben", "zoe"):
            book.add_student(student)
    assert roster(course) == ["ada", "ben", "zoe"]
    hand_in(tmp_path / "class", "ada", solved())
    report = grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert (report.missing, report.handed_in) == (2, 1)
    assert points(tmp_path / "out") == {"ada": FULL, "ben": 0, "zoe": 0}
    hand_in(tmp_path / "late", "ben", solved())
    report = grade_class(tmp_path / "late", tmp_path / "out", root=course)
    assert (report.missing, report.handed_in) == (1, 1)
    assert points(tmp_path / "out") == {"ada": FULL, "ben": FULL, "zoe": 0}
