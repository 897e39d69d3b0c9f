"""nbgrader's gradebook is the truth of a score: table and feedback follow it, nothing is lost."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grading_fixtures import LESSON, answer, cell_of, hand_in, pristine, solved
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import SaveAutoGrades

from course_lib.grading import releases, run
from course_lib.grading.records import COLUMNS, read_grades, read_json
from course_lib.grading.run import grade_class
from course_lib.grading.sandbox import Sandbox
from course_lib.grading.version import PACKAGE, files_of_verdict, version_of
from course_lib.lessons.exercises import exercises_folder

ROOT = Path(__file__).resolve().parent.parent
OVERFLOWS = "def softmax(x, axis=-1):\n    e = np.exp(x)\n    return e / e.sum(axis, keepdims=True)"
FULL = 7
DUE = datetime(2026, 3, 2, 12, 0)
TWENTY_PERCENT = """
import sys
from nbgrader.plugins import LateSubmissionPlugin

class TwentyPercent(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.2 * score

c.AssignLatePenalties.plugin_class = TwentyPercent
c.ClassRules.times = "timestamp.txt"
"""


@pytest.fixture(scope="module", autouse=True)
def one_sandbox():
    """One sandbox for all runs here: it is theirs to start one each, but that takes seconds."""
    with pytest.MonkeyPatch.context() as patch, Sandbox() as sandbox:
        patch.setattr(run, "Sandbox", lambda mode, hide: contextlib.nullcontext(sandbox))
        yield


@pytest.fixture(scope="module")
def graded_once(tmp_path_factory):
    """A course, a class of two and its grades: ada has a mistake in softmax, ben is right."""
    place = tmp_path_factory.mktemp("place")
    course = place / "course"
    shutil.copytree(exercises_folder(), course / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    hand_in(place / "class", "ada", answer(solved(), "softmax", OVERFLOWS))
    hand_in(place / "class", "ben", solved())
    report = grade(place)
    assert (report.problems, report.judged) == ([], 2)
    return place


@pytest.fixture
def place(graded_once, tmp_path):
    """The same, to change: folders `course`, `class` and `out`."""
    shutil.copytree(graded_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def grade(place, submitted="class", **options):
    return grade_class(
        place / submitted, place / "out", root=place / "course", workers=1, **options
    )


def gradebook(folder):
    return Gradebook(f"sqlite:///{folder}/gradebook.db")


def mark(folder, student, component, score=None, extra=None, comment=None):
    """What formgrader's handlers do when somebody fills in its fields."""
    with gradebook(folder) as book:
        about = LESSON, LESSON, student
        grade = book.find_grade(f"check-{component}", *about)
        grade.manual_score, grade.extra_credit = score, extra
        grade.needs_manual_grade = score is None and grade.auto_score is None
        book.find_comment(component, *about).manual_comment = comment
        book.db.commit()


def number_in_gradebook(folder, student):
    """The number that nbgrader exports: the score without the penalty, and never below zero."""
    with gradebook(folder) as book:
        submission = book.find_submission(LESSON, student)
        return max(0.0, submission.score - (submission.late_submission_penalty or 0.0))


def rows(place, student):
    table = read_grades(place / "out" / "grades_long.csv")
    return {row["component"]: row for row in table if row["student"] == student}


def number_in_table(place, student):
    return sum(row["points"] for row in rows(place, student).values())


def page(place, student):
    return (place / "out" / "feedback" / student / LESSON / f"{LESSON}.html").read_text()


def the_number(place, student):
    """The one number that gradebook, table and feedback have."""
    number = number_in_gradebook(place / "out", student)
    assert number_in_table(place, student) == pytest.approx(number)
    assert f"Score: {round(number, 10)} / " in page(place, student)
    return number


# --------------------------------------------------------------------------- what a person entered


def test_the_columns_that_were_promised_come_first():
    assert ",".join(COLUMNS).startswith(
        "student,lesson,component,points,max_points,diagnosis,sandbox,seconds,"
    )


def test_a_mark_by_hand_outranks_a_right_resubmission_everywhere(place):
    mark(place / "out", "ada", "softmax", 0.5, comment="you showed me the idea")
    hand_in(place / "class", "ada", solved())
    report = grade(place)
    assert report.judged == 1
    assert the_number(place, "ada") == FULL - 0.5
    of_ada = rows(place, "ada")
    assert [row["basis"] for row in of_ada.values()] == ["manual", "judged", "judged", "judged"]
    assert of_ada["softmax"]["comment"] == "you showed me the idea"
    assert report.kept == [
        f"ada {LESSON} softmax: 0.5 by hand stays; since then it was judged 1 of 1"
    ]
    mark(place / "out", "ada", "softmax", None)  # looked at, and taken back
    assert grade(place).kept == []
    assert the_number(place, "ada") == FULL


def test_table_and_feedback_follow_a_mark_without_a_new_submission(place):
    before = page(place, "ben")
    mark(place / "out", "ada", "softmax", 0.9, extra=0.25, comment="see me")
    assert grade(place).judged == 0
    assert the_number(place, "ada") == pytest.approx(FULL - 1 + 0.9 + 0.25)
    assert rows(place, "ada")["softmax"]["basis"] == "manual + extra credit"
    assert "see me" in page(place, "ada")
    assert page(place, "ben") == before


def test_long_comments_and_odd_names_do_not_break_the_table(place):
    mark(place / "out", "ada", "softmax", comment="long " * 30_000)
    hand_in(place / "class", "two\rlines", solved())
    grade(place)
    assert rows(place, "ada")["softmax"]["comment"] == "long " * 30_000
    assert the_number(place, r"two\rlines") == FULL
    assert grade(place).judged == 0
    table = place / "out" / "grades_long.csv"
    table.write_bytes(table.read_bytes().replace(b"ada", b"a\rda"))  # somebody's editor
    grade(place)
    assert sum(row["points"] for row in rows(place, "ada").values()) == FULL - 1


def test_the_command_shows_what_the_gradebook_says(place, monkeypatch):
    from click.testing import CliRunner

    from course_lib.cli import main

    monkeypatch.chdir(place / "course")
    mark(place / "out", "ada", "softmax", 0.5)
    shutil.rmtree(place / "class" / "ada" / LESSON)
    command = ["grade", "--submitted", "../class", "--out", "../out"]
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 0
    assert "0.5/1*" in shown.stdout
    assert "6.5" in shown.stdout
    assert f"Left as it is: ada {LESSON}: {run.AWAY}" in shown.stderr
    grades = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)["grades"]
    assert sum(row["points"] for row in grades if row["student"] == "ada") == 6.5


@pytest.mark.parametrize("away", ["the student's folder", "the lesson's folder", "the file"])
def test_mark_and_comment_stay_when_a_submission_is_away(place, away):
    mark(place / "out", "ada", "softmax", 0.5, extra=1.0, comment="keep me")
    folder = place / "class" / "ada"
    if away == "the student's folder":
        shutil.rmtree(folder)
    elif away == "the lesson's folder":
        shutil.rmtree(folder / LESSON)
    else:
        (folder / LESSON / f"{LESSON}.ipynb").unlink()
    report = grade(place)
    assert report.missing == 0
    is_here = away != "the student's folder"
    assert report.kept == [f"ada {LESSON}: {run.AWAY}"] * is_here
    assert the_number(place, "ada") == FULL - 1 + 1.5
    with gradebook(place / "out") as book:
        about = LESSON, LESSON, "ada"
        assert book.find_grade("check-softmax", *about).manual_score == 0.5
        assert book.find_grade("check-softmax", *about).extra_credit == 1.0
        assert book.find_comment("softmax", *about).manual_comment == "keep me"
    assert "keep me" in page(place, "ada")


@pytest.mark.parametrize("again", ["only late ones", "one student", "one lesson"])
def test_the_table_holds_everybody_on_record_whoever_is_graded(place, again):
    before = {student: rows(place, student) for student in ("ada", "ben")}
    if again == "only late ones":
        hand_in(place / "late", "cleo", solved())
        grade(place, "late")
        assert the_number(place, "cleo") == FULL
    elif again == "one student":
        grade(place, student="ben")
    else:
        other = "00_warm_up"
        hand_in(place / "class", "ben", pristine(other), other)
        grade(place, lesson=other)
        table = read_grades(place / "out" / "grades_long.csv")
        of_other = {row["student"]: row for row in table if row["lesson"] == other}
        assert of_other["ada"]["basis"] == "missing"
        assert of_other["ben"]["diagnosis"] == "not answered yet"
        table = [row for row in table if row["lesson"] == LESSON]
        now = {s: {r["component"]: r for r in table if r["student"] == s} for s in before}
        assert now == before
        return
    assert {student: rows(place, student) for student in before} == before


def test_a_failure_of_ours_is_no_score_and_leaves_the_record_alone(place, monkeypatch):
    before = rows(place, "ada")
    hand_in(place / "class", "ada", solved())
    hand_in(place / "class", "cleo", solved())

    def broken(*args, **kwargs):
        raise OSError("no more processes")

    monkeypatch.setattr(run, "judge", broken)
    report = grade(place)
    assert len(report.problems) == 2
    assert all("no more processes" in problem for problem in report.problems)
    assert rows(place, "ada") == before
    assert rows(place, "cleo") == {}
    with gradebook(place / "out") as book, pytest.raises(MissingEntry):
        book.find_student("cleo")
    monkeypatch.undo()
    assert grade(place).judged == 2
    assert the_number(place, "ada") == the_number(place, "cleo") == FULL


def test_what_could_not_be_recorded_is_no_score(place, monkeypatch):
    hand_in(place / "class", "cleo", solved())

    def broken(*args):
        raise OSError("no space left")

    monkeypatch.setattr(run, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(SaveAutoGrades, "preprocess", broken)
    report = grade(place)
    text = "not graded: it could not be recorded (OSError: no space left)"
    assert report.problems == [f"cleo {LESSON}: {text}"]
    assert report.not_graded == [f"cleo {LESSON}"]
    assert (report.kept, rows(place, "cleo")) == ([], {})
    monkeypatch.undo()
    assert grade(place).judged == 1
    assert the_number(place, "cleo") == FULL


def test_a_grade_that_was_recorded_in_part_is_no_grade(place, monkeypatch):
    """And a run about somebody else later does not take the part for the whole."""
    right = SaveAutoGrades.preprocess

    def broken(self, notebook, resources):
        if resources["nbgrader"]["student"] == "ben":
            with gradebook(place / "out") as book:
                for grade in book.find_submission_notebook(LESSON, LESSON, "ben").grades:
                    grade.auto_score, grade.needs_manual_grade = None, False
                    break
                book.db.commit()
            raise OSError("no space left")
        return right(self, notebook, resources)

    monkeypatch.setattr(run, "PAUSES", (0.0,))
    monkeypatch.setattr(SaveAutoGrades, "preprocess", broken)
    report = grade(place, again=True)
    assert report.not_graded == [f"ben {LESSON}"]
    assert rows(place, "ben") == {}
    assert rows(place, "ada") != {}
    monkeypatch.undo()
    grade(place, student="ada")
    assert rows(place, "ben") == {}
    assert grade(place).judged == 1
    assert the_number(place, "ben") == FULL


def test_an_extension_before_anything_is_handed_in_puts_nothing_on_record(place):
    with gradebook(place / "out") as book:
        book.add_student("cleo")
        book.add_submission(LESSON, "cleo")
        book.grant_extension(LESSON, "cleo", days=1)
    (place / "class" / "cleo").mkdir()
    report = grade(place)
    assert (report.missing, report.kept) == (1, [])
    assert {row["basis"] for row in rows(place, "cleo").values()} == {"missing"}
    hand_in(place / "class", "cleo", solved())
    grade(place)
    assert the_number(place, "cleo") == FULL
    with gradebook(place / "out") as book:
        assert book.find_submission(LESSON, "cleo").extension == timedelta(days=1)


def test_a_second_run_into_the_same_folder_is_refused_and_changes_nothing(place):
    def files():
        return {p: p.read_bytes() for p in (place / "out").rglob("*") if p.is_file()}

    refused = []

    def second(*_):
        before = files()
        with pytest.raises(run.GradingError, match="another run writes to"):
            grade(place)
        assert files() == before
        refused.append(1)

    hand_in(place / "class", "ada", solved())
    report = grade(place, progress=second)
    assert (len(refused), report.problems) == (2, [])
    assert the_number(place, "ada") == FULL


def test_a_submission_is_read_and_rebuilt_once(place, monkeypatch):
    read, rebuilt = [], []
    for name, seen in (("read_submission", read), ("rebuild", rebuilt)):
        original = getattr(run, name)

        def noted(*args, original=original, seen=seen):
            seen.append(args)
            return original(*args)

        monkeypatch.setattr(run, name, noted)
    hand_in(place / "class", "ada", solved())
    assert grade(place).judged == 1
    assert len(read) == len(rebuilt) == 2  # ada's and ben's


# -------------------------------------------------------------------------------------- late, twice


def nbgrader_autograde(course):
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", LESSON, "--force"],
        cwd=course,
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def is_due(folder, when):
    with gradebook(folder) as book:
        book.find_assignment(LESSON).duedate = when
        book.db.commit()


def handed_in(place, student, text):
    (place / "class" / student / LESSON / "timestamp.txt").write_text(text)


@pytest.fixture
def late(place):
    """ben is two hours late; the course takes a fifth away for that."""
    with (place / "course" / "nbgrader_config.py").open("a") as config:
        config.write(TWENTY_PERCENT)
    releases.release(LESSON, place / "course")
    is_due(place / "course", DUE)
    handed_in(place, "ada", "2026-03-02 11:59:59 UTC")
    handed_in(place, "ben", "2026-03-02 14:00:00 UTC")
    return place


def test_both_commands_give_one_number_to_who_is_late(late):
    shutil.copytree(late / "class", late / "course" / "submitted")
    nbgrader_autograde(late / "course")
    grade(late)
    assert the_number(late, "ben") == pytest.approx(0.8 * FULL)
    for student in ("ada", "ben"):
        assert number_in_gradebook(late / "course", student) == the_number(late, student)
    penalty = rows(late, "ben")["late penalty"]
    assert (penalty["points"], penalty["max_points"], penalty["basis"]) == (-1.4, 0, "late")
    assert penalty["diagnosis"] == "handed in 2:00:00 late"
    assert "late penalty" not in rows(late, "ada")


def test_a_penalty_is_taken_of_the_score_that_counts(late):
    grade(late)
    mark(late / "out", "ben", "attention", 1.0)
    grade(late)
    assert the_number(late, "ben") == pytest.approx(0.8 * (FULL - 1))


def test_the_class_follows_the_courses_due_date_until_somebody_enters_another(late):
    assert grade(late).kept == []
    is_due(late / "course", DUE + timedelta(hours=3))
    assert grade(late).kept == []
    assert the_number(late, "ben") == FULL
    is_due(late / "out", DUE)
    report = grade(late)
    assert the_number(late, "ben") == pytest.approx(0.8 * FULL)
    assert report.kept == [
        f"{LESSON}: the duedate 2026-03-02 12:00:00 in the class's gradebook counts, "
        "not 2026-03-02 15:00:00 in the course's"
    ]
    with gradebook(late / "out") as book:
        book.grant_extension(LESSON, "ben", days=1)
    grade(late)
    assert the_number(late, "ben") == FULL
    with gradebook(late / "out") as book:
        assert book.find_assignment(LESSON).duedate == DUE
        assert book.find_submission(LESSON, "ben").extension == timedelta(days=1)


def test_a_run_from_a_folder_without_a_gradebook_takes_no_due_date_away(late):
    grade(late)
    (late / "course" / "gradebook.db").rename(late / "elsewhere.db")
    grade(late)
    assert the_number(late, "ben") == pytest.approx(0.8 * FULL)
    (late / "elsewhere.db").rename(late / "course" / "gradebook.db")
    is_due(late / "course", DUE + timedelta(hours=3))
    assert grade(late).kept == []
    assert the_number(late, "ben") == FULL


@pytest.mark.parametrize("hands_in_again", [False, True])
def test_who_has_no_due_date_any_more_is_not_late(late, hands_in_again):
    grade(late)
    with gradebook(late / "out") as book:
        book.grant_extension(LESSON, "ben", minutes=1)
    is_due(late / "course", None)
    if hands_in_again:
        hand_in(late / "class", "ben", answer(solved(), "softmax", OVERFLOWS))
    grade(late)
    assert the_number(late, "ben") == FULL - hands_in_again
    assert "late penalty" not in rows(late, "ben")


def test_an_extension_in_the_courses_gradebook_counts_for_the_class(late):
    with gradebook(late / "course") as book:
        book.add_student("ben")
        book.add_submission(LESSON, "ben")
        book.grant_extension(LESSON, "ben", hours=2)
    grade(late)
    assert the_number(late, "ben") == FULL


@pytest.mark.parametrize("text", ["yesterday, honestly", "24:00" + 40 * "9" + "nan"])
def test_a_timestamp_that_names_no_time_costs_nothing_and_is_told(late, text):
    handed_in(late, "ben", text)
    report = grade(late)
    assert report.problems == [f"ben {LESSON}: its timestamp.txt names no time: {text[:40]!r}"]
    assert the_number(late, "ben") == FULL


def says(place, words):
    """What the teacher's configuration ends with."""
    with (place / "course" / "nbgrader_config.py").open("a") as config:
        config.write(f"\nc.ClassRules.times = {words!r}\n")


def test_a_students_own_time_is_no_evidence_unless_the_teacher_says_so(late):
    says(late, "")
    report = grade(late)
    assert the_number(late, "ben") == FULL
    assert f"ben {LESSON}: {run.NOT_EVIDENCE}" in report.kept


def test_a_teachers_table_of_times_counts_whatever_the_student_says(late):
    says(late, "times.csv")
    table = late / "course" / "times.csv"
    table.write_text(f"student,lesson,time\nada,{LESSON},2026-03-02 14:00:00 UTC\n")
    assert grade(late).kept == []
    assert the_number(late, "ada") < the_number(late, "ben") == FULL
    table.write_text("student,time\nada,never\n")
    with pytest.raises(run.GradingError, match="must hold student, lesson, time"):
        grade(late)


def test_settings_that_fail_stop_a_run_before_it_changes_anything(place):
    with (place / "course" / "nbgrader_config.py").open("a") as config:
        config.write("\n1 / 0\n")
    before = (place / "out" / "grades_long.csv").read_bytes()
    with pytest.raises(run.GradingError, match=r"nbgrader_config.py fails: ZeroDivisionError"):
        grade(place)
    assert (place / "out" / "grades_long.csv").read_bytes() == before


# ----------------------------------------------------------------- a release with other points


def count(course, *hashes):
    """What a teacher writes for older releases to count too."""
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f"\nc.ClassRules.older_releases = {list(hashes)}\n")


def release_again(course, change):
    """Change the exercise and release it: another hash, as a build would give it.

    The class goes on with the release that it has.
    """
    count(course, *(old.hash for old in releases.frozen(LESSON, course)))
    path = course / "exercises" / LESSON / f"{LESSON}.ipynb"
    notebook = json.loads(path.read_text())
    change(notebook)
    notebook["metadata"]["course"]["release"] = "0123456789ab"
    path.write_text(json.dumps(notebook))
    return releases.release(LESSON, course)


def two_are_worth_more(notebook):
    for component, points in (("softmax", 3), ("attention", 4)):
        cell_of(notebook, f"check-{component}")["metadata"]["nbgrader"]["points"] = points


def without_the_last(notebook):
    for name in ("SelfAttention", "check-SelfAttention"):
        notebook["cells"].remove(cell_of(notebook, name))


def maximum(folder):
    with gradebook(folder) as book:
        return book.find_assignment(LESSON).max_score


def test_a_component_is_worth_what_the_newest_release_says_in_both_commands(place):
    course = place / "course"
    releases.release(LESSON, course)
    shutil.copytree(place / "class", course / "submitted")
    mark(place / "out", "ada", "softmax", 0.5)
    shutil.rmtree(place / "class" / "ada")  # what was judged stays, at its share; the mark stays
    release_again(course, two_are_worth_more)
    nbgrader_autograde(course)
    report = grade(place)
    assert number_in_gradebook(course, "ben") == maximum(course) == FULL + 4
    assert the_number(place, "ben") == maximum(place / "out") == FULL + 4
    assert [row["max_points"] for row in rows(place, "ben").values()] == [3, 2, 4, 2]
    assert [row["points"] for row in rows(place, "ada").values()] == [0.5, 2, 4, 2]
    assert the_number(place, "ada") == 8.5
    assert f"ada {LESSON} softmax: 0.5 by hand stays" in report.kept[0]


def test_what_is_asked_no_more_counts_for_nobody(place):
    course = place / "course"
    releases.release(LESSON, course)
    new = release_again(course, without_the_last)
    newer = solved()
    newer["metadata"]["course"]["release"] = new.hash
    without_the_last(newer)
    hand_in(place / "class", "cleo", newer)
    grade(place)
    assert maximum(place / "out") == FULL - 2
    assert [the_number(place, student) for student in ("ada", "ben", "cleo")] == [
        FULL - 3,
        FULL - 2,
        FULL - 2,
    ]
    row = rows(place, "ben")["SelfAttention"]
    assert (row["points"], row["max_points"], row["basis"]) == (0, 0, "judged")
    assert "SelfAttention" not in rows(place, "cleo")
    with gradebook(place / "out") as book:
        assert not book.find_submission(LESSON, "cleo").needs_manual_grade


def test_a_mark_for_what_is_asked_no_more_is_in_the_table_and_told(place):
    course = place / "course"
    releases.release(LESSON, course)
    mark(place / "out", "ada", "SelfAttention", 1.5)
    newer = solved()
    newer["metadata"]["course"]["release"] = release_again(course, without_the_last).hash
    without_the_last(newer)
    hand_in(place / "class", "ada", newer)
    report = grade(place)
    assert the_number(place, "ada") == FULL - 2 + 1.5
    assert rows(place, "ada")["SelfAttention"]["basis"] == "manual"
    assert report.kept == [
        f"ada {LESSON} SelfAttention: 1.5 by hand stays; since then it was not asked for"
    ]


@pytest.fixture
def older(place):
    """A right notebook of a first release, which did not ask for the last component."""
    course = place / "course"
    path = course / "exercises" / LESSON / f"{LESSON}.ipynb"
    whole = path.read_text()
    smaller = json.loads(whole)
    without_the_last(smaller)
    smaller["metadata"]["course"]["release"] = "first0000000"
    path.write_text(json.dumps(smaller))
    releases.release(LESSON, course)
    path.write_text(whole)
    releases.release(LESSON, course)
    count(course, "first0000000")
    notebook = solved()
    without_the_last(notebook)
    notebook["metadata"]["course"]["release"] = "first0000000"
    return notebook


@pytest.mark.parametrize("command", ["course grade", "nbgrader autograde"])
def test_a_score_is_of_one_submission(place, older, command):
    mark(place / "out", "ada", "SelfAttention", 1.5)
    if command == "nbgrader autograde":
        shutil.copytree(place / "class", place / "course" / "submitted")
        nbgrader_autograde(place / "course")
        hand_in(place / "course" / "submitted", "ben", older)
        nbgrader_autograde(place / "course")
        assert number_in_gradebook(place / "course", "ben") == FULL - 2
        return
    for student in ("ada", "ben"):
        hand_in(place / "class", student, older)
    report = grade(place)
    assert the_number(place, "ben") == FULL - 2
    assert rows(place, "ben")["SelfAttention"]["basis"] == "not asked"
    assert the_number(place, "ada") == FULL - 2 + 1.5
    assert report.kept == [
        f"ada {LESSON} SelfAttention: 1.5 by hand stays; since then it was not asked for",
        f"ben {LESSON} SelfAttention: not asked for in the release that was handed in: 0 of 2",
    ]


def test_what_only_the_newest_release_asks_for_waits_for_a_person(place, older):
    hand_in(place / "class", "cleo", older)
    report = grade(place)
    assert the_number(place, "cleo") == FULL - 2
    row = rows(place, "cleo")["SelfAttention"]
    assert (row["points"], row["max_points"], row["basis"]) == (0, 2, "not asked")
    assert report.kept == [
        f"cleo {LESSON} SelfAttention: not asked for in the release that was handed in: 0 of 2"
    ]
    mark(place / "out", "cleo", "SelfAttention", 2.0)
    assert grade(place).kept == []
    assert the_number(place, "cleo") == FULL


# --------------------------------------------------------------------- the version of the checks

LOADED = """
import sys
from pathlib import Path
from course_lib.bugs import bugs_of
from course_lib.bugs.capstone import all_package_bugs
from course_lib.checks import all_checks
from course_lib.checks.observe import serve
from course_lib.grading import judging, sandbox
for check in all_checks():
    bugs_of(check.name)
all_package_bugs()
for name, module in sys.modules.items():
    if name.split(".")[0] == "course_lib" and module.__file__:
        print(module.__file__)
"""


def test_the_version_counts_every_file_that_judging_loads():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {Path(line) for line in done.stdout.splitlines()}
    assert len(loaded) > 50
    assert loaded <= set(files_of_verdict(PACKAGE))


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The package, to change."""
    package = tmp_path_factory.mktemp("checkout") / "course_lib"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_touching_any_file_that_a_verdict_depends_on_changes_the_version(copied):
    files = files_of_verdict(copied)
    before = seen = version_of(copied)
    assert before == version_of(PACKAGE)
    last_of = {path.relative_to(copied).parts[0]: path for path in files}
    assert {"bugs", "checks", "corpus", "grading", "lessons", "transformer"} <= set(last_of)
    for path in last_of.values():
        with path.open("a") as file:
            file.write("# touched\n")
        now = version_of(copied)
        assert now != seen, path
        seen = now


def test_what_a_verdict_does_not_depend_on_changes_no_version(copied):
    before = version_of(copied)
    for name in ("cli.py", "plots.py", "grading/run.py", "grading/table.py", "models/gpt2.py"):
        with (copied / name).open("a") as file:
            file.write("# touched\n")
    assert version_of(copied) == before


def test_other_checks_judge_again(place, monkeypatch):
    assert grade(place).judged == 0
    monkeypatch.setattr(run, "checks_version", lambda: "another")
    assert grade(place).judged == 2
    assert read_json(place / "out" / "run.json")["checks"] == "another"
