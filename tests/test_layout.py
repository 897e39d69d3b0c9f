"""A class that lies otherwise than it is looked for is no class that handed nothing in."""

import contextlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from grading_fixtures import LESSON, hand_in, pristine, solved

from course_lib.cli import main
from course_lib.grading import GradingError, run
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.grading.sandbox import Sandbox
from course_lib.lessons.exercises import exercises_folder

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = f"{LESSON}.ipynb"
STUDENTS = ("Ada Lovelace", "Ben Bitdiddle", "Cleo")

# Where a platform's download has a student's notebook: by the student's name and a number.
DOWNLOADS = {
    "Moodle": "{name}_{number}_assignsubmission_file_/" + NOTEBOOK,
    "Moodle, renamed": "{name}_{number}_assignsubmission_file_/my answers.ipynb",
    "Moodle, packed": "{name}_{number}_assignsubmission_file_/" + LESSON + ".zip",
    "Gradescope": "submission_{number}/" + NOTEBOOK,
    "Canvas": "{name}_{number}_4711_" + NOTEBOOK,
    "lesson first": LESSON + "/{name}/" + NOTEBOOK,
    "lesson first, twice": LESSON + "/{name}/" + LESSON + "/" + NOTEBOOK,
    "one folder too many": "class/{name}/" + LESSON + "/" + NOTEBOOK,
}


@pytest.fixture(scope="module", autouse=True)
def one_sandbox():
    with pytest.MonkeyPatch.context() as patch, Sandbox() as sandbox:
        patch.setattr(run, "Sandbox", lambda mode, hide: contextlib.nullcontext(sandbox))
        yield


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    shutil.copytree(exercises_folder(), course / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    return course


def download(folder, pattern):
    here = hand_in(folder.parent / "one", "x", solved())
    for number, name in enumerate(STUDENTS, 4000):
        path = folder / pattern.format(name=name, number=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.write(here, NOTEBOOK)
        else:
            shutil.copy(here, path)
    return folder


@pytest.mark.parametrize("lesson", [LESSON, None])
@pytest.mark.parametrize("layout", DOWNLOADS)
def test_a_download_as_it_comes_is_an_error_before_anything_is_graded(
    tmp_path, course, layout, lesson
):
    submitted = download(tmp_path / "class", DOWNLOADS[layout])
    with pytest.raises(GradingError) as refused:
        grade_class(submitted, tmp_path / "out", root=course, lesson=lesson)
    assert "STUDENT/LESSON/LESSON.ipynb" in str(refused.value)
    first = DOWNLOADS[layout].format(name=STUDENTS[0], number=4000)
    assert first in str(refused.value)
    assert ("Here lessons come first" in str(refused.value)) == ("lesson first" in layout)
    assert not (tmp_path / "out").exists()


def test_who_lies_elsewhere_has_no_score_and_who_handed_nothing_in_has_zero(tmp_path, course):
    submitted = tmp_path / "class"
    hand_in(submitted, "ada", solved())
    hand_in(submitted, "ben", solved()).rename(submitted / "ben" / NOTEBOOK)
    for name in ("mine.ipynb", "yours.ipynb"):
        hand_in(submitted, "cleo", solved()).rename(submitted / "cleo" / LESSON / name)
    hand_in(submitted, "dan", pristine("00_warm_up"), "00_warm_up")
    (submitted / "dan" / "scratch.ipynb").write_text("{}")
    (submitted / "Eve_12_34_lost.ipynb").write_text("{}")
    (submitted / "ada" / "04_multi_head_attention.zip").write_text("")
    report = grade_class(submitted, tmp_path / "out", root=course, lesson=LESSON)
    assert report.not_graded == [f"ben {LESSON}", f"cleo {LESSON}"]
    place = f"nothing lies at {LESSON}/{NOTEBOOK}, and"
    assert report.problems == [
        f"ben {LESSON}: not graded: {place} there is another file: {NOTEBOOK}",
        f"cleo {LESSON}: not graded: {place} which of these it is, is not clear: "
        f"{LESSON}/mine.ipynb, {LESSON}/yours.ipynb",
        f"Eve_12_34_lost.ipynb in {submitted} is in no student's folder",
    ]
    assert (report.handed_in, report.judged, report.missing) == (1, 1, 1)
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    points = {s: sum(r["points"] for r in rows if r["student"] == s) for s in ("ada", "dan")}
    assert {row["student"] for row in rows} == set(points)
    assert points == {"ada": 7, "dan": 0}

    shutil.rmtree(submitted / "ada" / LESSON)  # on record: what it is worth does not change
    hand_in(submitted, "ada", solved()).rename(submitted / "ada" / NOTEBOOK)
    (submitted / "cleo" / LESSON / "mine.ipynb").unlink()
    report = grade_class(submitted, tmp_path / "out", root=course)
    assert f"ada {LESSON}" in report.not_graded
    named = "04_multi_head_attention.zip lies in no lesson's place; it would be at"
    assert any(
        problem.startswith(f"ada: {named} 04_multi_head_attention/") for problem in report.problems
    )
    rows = [r for r in read_grades(tmp_path / "out" / "grades_long.csv") if r["lesson"] == LESSON]
    points = {s: sum(r["points"] for r in rows if r["student"] == s) for s in ("ada", "cleo")}
    assert points == {"ada": 7, "cleo": 7}


def test_git_sees_nothing_of_what_a_class_hands_in_and_gets():
    places = [
        "submitted/a",
        "downloaded/a.zip",
        "grades/gradebook.db",
        "grades.csv",
        "gradebook.db",
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *places], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == places


def test_a_run_in_which_nobody_handed_in_is_no_success(tmp_path, course, monkeypatch):
    for student in STUDENTS:
        (tmp_path / "class" / student).mkdir(parents=True)
    monkeypatch.chdir(course)
    command = ["grade", "--submitted", str(tmp_path / "class"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*command, "--lesson", LESSON])
    assert done.exit_code == 1
    assert f"nobody here has handed in {LESSON}" in done.stderr
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    assert {row["basis"] for row in rows} == {"missing"}
