"""The grader: equal scores by both commands, nothing for cheats, and nobody stopped by anybody."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from grading_fixtures import LESSON, answer, cell_of, extra_cell, hand_in, pristine, solved
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import determine_grade

import course_lib.transformer.attention
import course_lib.transformer.masking
from course_lib.checks import observe_here
from course_lib.grading import GradingError, releases
from course_lib.grading.classroom import recorded
from course_lib.grading.judging import judge
from course_lib.grading.records import COLUMNS, read_grades, read_json, write_grades
from course_lib.grading.run import grade_class
from course_lib.grading.steps import write_outputs
from course_lib.grading.submission import read_submission, rebuild
from course_lib.lessons.exercises import exercises_folder, read_exercises

ROOT = Path(__file__).resolve().parent.parent

OVERFLOWS = "def softmax(x, axis=-1):\n    e = np.exp(x)\n    return e / e.sum(axis, keepdims=True)"
ODD_NAMES = ("=cmd|'calc'!A0", "[a]*?", "{student_id}", "a\nb", " \r", "学" * 85)
UNREADABLE = ("not json", "link", "pipe", "linked folder")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A course root without frozen releases."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(exercises_folder(), root / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


@pytest.fixture(scope="module")
def mixed_class(tmp_path_factory):
    """A class in which everything happens."""
    submitted = tmp_path_factory.mktemp("class")
    secret = hand_in(submitted, "right", solved())
    hand_in(submitted, "stub", pristine())
    hand_in(submitted, "half", answer(solved(), "softmax", OVERFLOWS))
    page = "def softmax(x, axis=-1):\n    raise ValueError('</pre><script>alert(1)</script>')"
    hand_in(submitted, "a web page", answer(pristine(), "softmax", page))
    for name in ODD_NAMES:
        hand_in(submitted, name, solved())
    hand_in(submitted, "not json", b"{oh no")
    for name in ("link", "pipe", "linked folder"):
        (submitted / name).mkdir()
    (submitted / "link" / LESSON).mkdir()
    (submitted / "link" / LESSON / secret.name).symlink_to(secret)
    (submitted / "pipe" / LESSON).mkdir()
    os.mkfifo(submitted / "pipe" / LESSON / secret.name)
    (submitted / "linked folder" / LESSON).symlink_to(secret.parent)
    (submitted / "nothing").mkdir()
    for name in ("mine.ipynb", f"{LESSON} (1).IPYNB"):
        hand_in(submitted, name, solved()).rename(submitted / name / LESSON / name)
    for name in ("mine.ipynb", "yours.ipynb"):
        hand_in(submitted, "two", solved()).rename(submitted / "two" / LESSON / name)
    (submitted / ".ipynb_checkpoints").mkdir()
    (submitted / "README.txt").write_text("not a student")
    return submitted


@pytest.fixture(scope="module")
def graded(mixed_class, root, tmp_path_factory):
    """The mixed class's grades: where they are, the report, and the rows by student."""
    out = tmp_path_factory.mktemp("grades") / "out"
    report = grade_class(mixed_class, out, root=root)
    rows = {}
    for row in read_grades(out / "grades_long.csv"):
        rows.setdefault(row["student"], {})[row["component"]] = row
    return out, report, rows


def points(rows):
    return sum(row["points"] for row in rows.values())


def score_in_gradebook(out, student, lesson=LESSON):
    with Gradebook(f"sqlite:///{out}/gradebook.db") as book:
        return book.find_submission(lesson, student).score


def feedback(out, student, lesson=LESSON):
    return (out / "feedback" / student / lesson / f"{lesson}.html").read_text()


# ------------------------------------------------------------------ a whole class, everything in it


def test_the_grader_fails_at_nobody(graded):
    _, report, rows = graded
    assert report.not_graded == [f"two {LESSON}"]
    assert report.missing == 1
    assert report.unreadable == len(UNREADABLE)
    assert all(len(of_one) == len(read_exercises(pristine())) for of_one in rows.values())


def test_right_answers_earn_full_marks_and_stubs_nothing(graded):
    out, _, rows = graded
    full = sum(row["max_points"] for row in rows["right"].values())
    assert points(rows["right"]) == score_in_gradebook(out, "right") == full
    assert points(rows["stub"]) == score_in_gradebook(out, "stub") == 0
    assert rows["stub"]["softmax"]["diagnosis"] == "not answered yet"


def test_a_mistake_costs_points_once_and_is_named(graded):
    out, _, rows = graded
    assert rows["half"]["softmax"]["points"] < rows["half"]["softmax"]["max_points"]
    assert rows["half"]["softmax"]["diagnosis"]
    others = [row for name, row in rows["half"].items() if name != "softmax"]
    assert all(row["points"] == row["max_points"] for row in others)
    assert score_in_gradebook(out, "half") == pytest.approx(points(rows["half"]))


@pytest.mark.parametrize("student", UNREADABLE)
def test_an_unreadable_file_earns_nothing_and_says_why(graded, student):
    out, _, rows = graded
    assert points(rows[student]) == score_in_gradebook(out, student) == 0
    assert "could not be read" in rows[student]["softmax"]["diagnosis"]
    assert rows[student]["softmax"]["sandbox"] == "not run"
    assert "could not be read" in feedback(out, student)


def test_no_link_is_followed(graded):
    out, _, rows = graded
    assert points(rows["link"]) == 0
    assert "np.exp" not in feedback(out, "link")


def test_who_hands_nothing_in_gets_zero_and_no_submission(graded):
    out, report, rows = graded
    assert {row["diagnosis"] for row in rows["nothing"].values()} == {"nothing was handed in"}
    assert report.handed_in == len(rows) - 1
    with Gradebook(f"sqlite:///{out}/gradebook.db") as book:
        assert book.find_student("nothing").score == 0
        with pytest.raises(MissingEntry):
            book.find_submission(LESSON, "nothing")


@pytest.mark.parametrize("name", ["mine.ipynb", f"{LESSON} (1).IPYNB"])
def test_the_only_notebook_in_a_folder_counts_whatever_its_name(graded, name):
    out, _, rows = graded
    assert points(rows[name]) == points(rows["right"])
    assert f"handed in as {name}" in feedback(out, name)
    assert {row["note"] for row in rows[name].values()} == {f"handed in as {name}"}


@pytest.mark.parametrize("student", ODD_NAMES)
def test_a_student_may_be_called_anything(graded, student):
    out, _, rows = graded
    student = recorded(student)
    assert student.isprintable()
    assert points(rows[student]) == score_in_gradebook(out, student) > 0
    assert feedback(out, student)


def test_no_cell_of_the_table_is_a_formula(graded):
    out, _, _ = graded
    text = (out / "grades_long.csv").read_text()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert not any(line.startswith(("=", '"=', "-", "+", "@")) for line in text.splitlines())


def test_only_students_are_graded_and_every_result_says_how(graded):
    _, report, rows = graded
    assert ".ipynb_checkpoints" not in rows
    assert "README.txt" not in rows
    assert report.students == len(rows) + len(report.not_graded)
    assert {row["sandbox"] for row in rows["right"].values()} == {"bubblewrap"}


def test_feedback_shows_the_message_and_how_to_repeat_it(graded):
    out, _, _ = graded
    seed = read_json(out / "run.json")["seed"]
    page = feedback(out, "half")
    assert f"check(softmax, seed={seed})" in page
    assert "agrees with" in page


def test_feedback_runs_nothing_that_a_submission_wrote(graded):
    out, _, _ = graded
    page = feedback(out, "a web page")
    assert "alert(1)" in page
    assert "<script>alert" not in page


def test_a_later_run_judges_only_what_changed(graded, mixed_class, root, tmp_path):
    out, _, _ = graded
    here = tmp_path / "out"
    shutil.copytree(out, here)
    assert grade_class(mixed_class, here, root=root).judged == 0
    assert (here / "grades_long.csv").read_bytes() == (out / "grades_long.csv").read_bytes()

    changed = tmp_path / "class"
    hand_in(changed, "stub", answer(solved(), "softmax", "softmax = None"))
    hand_in(changed, "right", solved())
    assert grade_class(changed, here, root=root).judged == 1
    rows = [row for row in read_grades(here / "grades_long.csv") if row["student"] == "stub"]
    assert sum(row["points"] for row in rows) == score_in_gradebook(here, "stub") > 0
    assert read_json(here / "run.json")["seed"] != read_json(out / "run.json")["seed"]

    shutil.rmtree(changed / "stub" / LESSON)
    before, score = feedback(here, "stub"), score_in_gradebook(here, "stub")
    report = grade_class(changed, here, root=root)
    assert (report.judged, report.missing) == (0, 0)
    assert report.kept == [f"stub {LESSON}: no file is there now; what is on record stays"]
    assert (feedback(here, "stub"), score_in_gradebook(here, "stub")) == (before, score)


# ------------------------------------------------------------------------- interrupting, refusing


def test_an_interrupted_run_goes_on_where_it_stopped(root, tmp_path):
    for student in "abcd":
        hand_in(tmp_path / "class", student, solved())

    def interrupt(done, total, label):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade_class(tmp_path / "class", tmp_path / "out", root=root, progress=interrupt)
    before = read_json(tmp_path / "out" / "run.json")
    assert before["state"] == "running"
    report = grade_class(tmp_path / "class", tmp_path / "out", root=root)
    assert report.judged <= 2
    after = read_json(tmp_path / "out" / "run.json")
    assert (after["state"], after["seed"]) == ("done", before["seed"])
    full = sum(exercise.points for exercise in read_exercises(pristine()))
    assert report.problems == []
    assert [score_in_gradebook(tmp_path / "out", student) for student in "abcd"] == [full] * 4


def test_a_machine_without_bubblewrap_refuses_and_says_what_to_do(root, tmp_path, monkeypatch):
    hand_in(tmp_path / "class", "a", solved())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GradingError, match="bubblewrap"):
        grade_class(tmp_path / "class", tmp_path / "out", root=root)
    assert not (tmp_path / "out" / "grades_long.csv").exists()


def test_a_sandbox_that_fails_is_not_the_submissions_fault(tmp_path):
    def broken(job):
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more processes"):
        judge(_rebuilt(tmp_path, solved()), broken, seed=5, sandbox="none")


def test_one_student_can_be_graded_alone(root, tmp_path):
    hand_in(tmp_path / "class", "a", solved())
    hand_in(tmp_path / "class", "b", solved())
    report = grade_class(
        tmp_path / "class", tmp_path / "out", root=root, student="a", sandbox="none"
    )
    assert (report.students, report.judged) == (1, 1)
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    assert {(row["student"], row["sandbox"]) for row in rows} == {("a", "none")}
    with pytest.raises(GradingError, match="no student called 'c'"):
        grade_class(tmp_path / "class", tmp_path / "out", root=root, student="c")


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (lambda submitted, out: None, "no folder"),
        (lambda submitted, out: submitted.mkdir(), "no student's folder"),
        (
            lambda submitted, out: (submitted / "a" / "x").mkdir(parents=True),
            "after a lesson",
        ),
        (lambda submitted, out: (_put(submitted), out.write_text("a file")), "cannot write"),
        (lambda submitted, out: (_put(submitted), _put(out)), "holds other things"),
    ],
)
def test_what_cannot_be_graded_is_refused(tmp_path, root, arrange, words):
    arrange(tmp_path / "class", tmp_path / "out")
    with pytest.raises(GradingError, match=words):
        grade_class(tmp_path / "class", tmp_path / "out", root=root)


def _put(folder):
    hand_in(folder, "a", pristine())


def test_grades_are_never_written_among_the_submissions(tmp_path, root):
    _put(tmp_path)
    with pytest.raises(GradingError, match="lies inside"):
        grade_class(tmp_path, tmp_path / "out", root=root)
    with pytest.raises(GradingError, match=f"Did you mean {LESSON}"):
        grade_class(tmp_path, tmp_path.parent / "out", root=root, lesson="2_self_atention")


# ---------------------------------------------------------------------------- reading, rebuilding


def test_only_the_source_of_a_solution_cell_is_taken(tmp_path):
    mine = "softmax = 'mine'"
    notebook = answer(pristine(), "softmax", mine)
    notebook["cells"].insert(0, extra_cell("theirs"))
    notebook["metadata"]["kernelspec"] = {"name": "bash"}
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["x"]
    rebuilt = rebuild(_joined(pristine()), read_submission(hand_in(tmp_path, "a", notebook)))
    expected = answer(_joined(pristine()), "softmax", mine)
    del rebuilt["metadata"]["course"]["grading"]
    assert rebuilt == expected


def test_a_missing_cell_costs_its_own_points_only(tmp_path):
    notebook = solved()
    notebook["cells"].remove(cell_of(notebook, "softmax"))
    cell_of(notebook, "attention")["cell_type"] = "raw"
    rebuilt = rebuild(_joined(pristine()), read_submission(hand_in(tmp_path, "a", notebook)))
    problems = rebuilt["metadata"]["course"]["grading"]["problems"]
    assert problems == {
        "softmax": "no cell defines softmax: its name must stay as given",
        "attention": "the cell of attention was turned into text: make it a code cell again "
        "(in JupyterLab: press Esc, then Y), and run it",
    }


@pytest.mark.parametrize(
    "cell",
    [
        None,
        7,
        {},
        {"cell_type": "code"},
        {"cell_type": "code", "source": 1, "metadata": {"nbgrader": {"grade_id": "softmax"}}},
        {"cell_type": "code", "source": [1], "metadata": {"nbgrader": {"grade_id": "softmax"}}},
        {"cell_type": "code", "source": "x", "metadata": {"nbgrader": {"grade_id": ["softmax"]}}},
        {"cell_type": "code", "source": "x", "metadata": {"nbgrader": None}},
        {"cell_type": ["code"], "source": "x", "metadata": []},
        {"cell_type": "code", "source": "x", "metadata": {}, "outputs": [float("nan")]},
    ],
)
def test_a_broken_cell_hides_no_other(tmp_path, cell):
    notebook = solved()
    notebook["cells"].insert(0, cell)
    notebook["metadata"]["course"] = cell
    submission = read_submission(hand_in(tmp_path, "a", notebook))
    assert submission.reason == ""
    theirs = [one.typed for one in submission.cells if one.grade_id == "softmax"]
    assert cell_of(solved(), "softmax")["source"] in theirs


def _joined(notebook):
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


# ------------------------------------------------------------------------------------- judging


def _right(job):
    """An observer that ignores the answer and runs the finished component."""
    if job["component"] == "answer":  # nothing of it is run: texts are read
        return observe_here(None)(job["calls"])
    for module in (course_lib.transformer.attention, course_lib.transformer.masking):
        if hasattr(module, job["component"]):
            return observe_here(getattr(module, job["component"]))(job["calls"])
    raise AssertionError(job["component"])


def _rebuilt(tmp_path, notebook, lesson=LESSON):
    path = hand_in(tmp_path, "a", notebook, lesson)
    return rebuild(_joined(pristine(lesson)), read_submission(path))


def test_a_failed_component_is_replaced_by_ours_for_those_after_it(tmp_path):
    jobs = []

    def observe(job):
        jobs.append(job)
        if job["component"] == "softmax":
            return {"status": "failed", "message": "broken", "observations": []}
        return _right(job)

    notebook = answer(solved(), "softmax", "def softmax(): 'mine'")
    answer(notebook, "attention_numpy", "def attention_numpy(): 'mine'")
    results = judge(_rebuilt(tmp_path, notebook), observe, seed=5, sandbox="none")
    assert [result["points"] > 0 for result in results] == [False, True, True, True]
    assert "shifted" in jobs[1]["earlier"][0]
    assert jobs[2]["earlier"][1] == "def attention_numpy(): 'mine'"


def test_a_job_holds_modules_of_earlier_lessons_only(tmp_path):
    jobs = []

    def observe(job):
        jobs.append(job)
        return _right(job)

    judge(_rebuilt(tmp_path, solved()), observe, seed=5, sandbox="none")
    assert {name for job in jobs for name in job["modules"]} == {"shapes", "warmup", "tokens"}
    jobs.clear()
    lesson = "03_causal_masking"
    judge(_rebuilt(tmp_path, solved(lesson), lesson), observe, seed=5, sandbox="none")
    earlier = {"shapes", "warmup", "tokens", "attention"}
    assert {name for job in jobs for name in job["modules"]} == earlier
    assert "course_lib" not in json.dumps([{**job, "calls": 0} for job in jobs])


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"observations": 7},
        {"observations": [None] * 100},
        {"observations": [{"outputs": [np.array(np.nan)]}] * 100},
        {"status": "done", "observations": [], "points": 7, "message": 7},
    ],
)
def test_a_forged_reply_earns_nothing(tmp_path, reply):
    notebook = _rebuilt(tmp_path, solved())
    results = judge(notebook, lambda job: reply, seed=5, sandbox="none")
    assert [result["points"] for result in results] == [0.0] * len(results)


@pytest.mark.parametrize("score", [0.0, 0.7, 1.0, 2 / 3])
def test_nbgrader_reads_exactly_the_score_that_was_given(tmp_path, score):
    import nbformat

    notebook = nbformat.from_dict(_rebuilt(tmp_path, solved()))
    results = judge(notebook, _right, seed=5, sandbox="none")
    for result in results:
        result["points"] = score
        result["message"] = "False\n7.0\nTraceback"
    write_outputs(notebook, {"components": results, "seed": 5})
    nbformat.validate(notebook)
    for exercise in read_exercises(notebook):
        given, _ = determine_grade(cell_of(notebook, f"check-{exercise.component}"))
        assert given == score


def test_the_table_gives_back_what_was_written(tmp_path):
    names = ["=1+1", "+1", "-1", "@a", "'quoted", "'=1", "plain", 'a "b", c\nd', "ünï"]
    rows = [
        dict.fromkeys(COLUMNS, 0.5)
        | {"student": name, "lesson": "l", "component": "c"}
        | {"diagnosis": name, "sandbox": "none", "basis": "manual", "comment": name, "note": name}
        for name in names
    ]
    write_grades(tmp_path / "grades.csv", rows)
    assert read_grades(tmp_path / "grades.csv") == rows


# ------------------------------------------------------------------- releases, and nbgrader itself


@pytest.fixture
def course(root, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(root, course)
    return course


def test_releasing_twice_changes_nothing(course):
    first = releases.release(LESSON, course)
    again = releases.release(LESSON, course)
    assert (first.number, again.number) == (1, 1)
    assert releases.choose(LESSON, first.hash, course)[1] == ""
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        names = {cell.name for cell in book.find_notebook(LESSON, LESSON).grade_cells}
    assert names == {f"check-{each.component}" for each in read_exercises(pristine())}


def test_an_older_release_counts_only_if_the_teacher_says_so(course, tmp_path):
    old = releases.release(LESSON, course)
    hand_in(tmp_path / "class", "old", solved())
    stranger = solved()
    stranger["metadata"]["course"]["release"] = "../../.."
    hand_in(tmp_path / "class", "stranger", stranger)

    changed = pristine()
    changed["metadata"]["course"]["release"] = "0123456789ab"
    changed["cells"].remove(cell_of(changed, "softmax"))
    changed["cells"].remove(cell_of(changed, "check-softmax"))
    path = course / "exercises" / LESSON / f"{LESSON}.ipynb"
    path.write_text(json.dumps(changed))
    new = releases.release(LESSON, course)
    assert (old.number, new.number) == (1, 2)

    report = grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert len(report.problems) == 1
    assert f"old {LESSON}: not graded: made for release {old.hash}" in report.problems[0]
    with (
        Gradebook(f"sqlite:///{tmp_path}/out/gradebook.db") as book,
        pytest.raises(MissingEntry),
    ):
        book.find_submission(LESSON, "old")

    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f'\nc.ClassRules.older_releases = ["{old.hash}"]\n')
    report = grade_class(tmp_path / "class", tmp_path / "out", root=course)
    assert report.problems == []
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    components = {
        name: {r["component"] for r in rows if r["student"] == name} for name in ("old", "stranger")
    }
    assert "softmax" in components["old"]
    assert "softmax" not in components["stranger"]
    assert "the newest one" in feedback(tmp_path / "out", "stranger")
    assert "the newest one" not in feedback(tmp_path / "out", "old")


def test_nbgrader_autograde_gives_the_same_scores(course, graded, mixed_class):
    """By the plain command, without the environment's programs on PATH."""
    _, _, rows = graded
    students = ["right", "half", "stub", "not json", "pipe", "link", "a\nb", "[a]*?", " \r"]
    students += ["mine.ipynb", f"{LESSON} (1).IPYNB"]
    for student in [*students, "two"]:
        folder = course / "submitted" / student
        if student == "pipe":
            folder.joinpath(LESSON).mkdir(parents=True)
            os.mkfifo(folder / LESSON / f"{LESSON}.ipynb")
        else:
            shutil.copytree(mixed_class / student, folder, symlinks=True)
    releases.release(LESSON, course)
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", LESSON],
        cwd=course,
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert f"two {LESSON}: not graded: nothing lies at {LESSON}/{LESSON}.ipynb" in done.stderr
    for student in map(recorded, students):
        assert score_in_gradebook(course, student) == pytest.approx(points(rows[student]))
        assert os.listdir(course / "autograded" / student / LESSON) == [f"{LESSON}.ipynb"]
