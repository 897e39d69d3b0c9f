"""What fails on our side never becomes a score: it is tried again, then reported by name.

Each place where a failure could turn into points is broken here on purpose.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from grading_fixtures import LESSON, answer, hand_in, solved
from nbgrader.api import Gradebook
from test_sandbox import LIMITS, doing, is_right, job, processes_below, serving

from course_lib.checks.observe.wall import wire
from course_lib.cli import main
from course_lib.grading import (
    NotGraded,
    aside,
    class_gradebook,
    highlighting,
    results,
    run,
    sandbox,
)
from course_lib.grading.aside import Aside, AsideLost, TooDear
from course_lib.grading.budget import SECONDS, Budget
from course_lib.grading.handed_in_package import judge_package
from course_lib.grading.highlighting import MOST_CHARACTERS, highlight_code
from course_lib.grading.judging import judge
from course_lib.grading.received import Limits, Received, WorkerLost, reply_of
from course_lib.grading.records import read_grades
from course_lib.grading.releases import choose
from course_lib.grading.run import grade_class
from course_lib.grading.sandbox import Sandbox, SandboxMissing
from course_lib.grading.submission import read_submission, rebuild
from course_lib.lessons.exercises import exercises_folder, read_notebook, read_package_checks
from course_lib.lessons.package_text import our_package
from course_lib.own_files import lies_there

QUADRATIC = 'x = "%' + "0" * 75_000 + '"'  # minutes of a regular expression


@pytest.fixture(scope="module")
def box():
    with Sandbox(limits=LIMITS) as box:
        yield box


@pytest.fixture
def at_once(monkeypatch):
    """Trying again without a pause."""
    monkeypatch.setattr(sandbox, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(run, "PAUSES", (0.0, 0.0))


# ------------------------------------------------------------------ the sandbox


def test_a_sandbox_whose_restart_fails_is_there_again_for_the_next_answer(at_once, monkeypatch):
    with Sandbox("none", limits=LIMITS) as box:
        os.kill(serving(box), signal.SIGKILL)
        starts = []

        def broken(*_, **__):
            starts.append(1)
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr(subprocess, "Popen", broken)
        with pytest.raises(NotGraded, match=r"failed 3 times .*temporarily unavailable"):
            box.observe(doing("pass"))
        assert len(starts) == 2  # the first try was on the worker that had been killed
        monkeypatch.undo()
        assert is_right(box.observe(doing("pass")))


def test_a_full_disk_is_no_reply(box, at_once, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sandbox.tempfile, "TemporaryFile", full)
    with pytest.raises(NotGraded, match="No space left on device"):
        box.observe(doing("pass"))
    monkeypatch.undo()
    assert is_right(box.observe(doing("pass")))


def test_a_job_that_the_machine_kills_is_done_again(box):
    """As the kernel does where memory is short; the answer itself cannot."""
    warm, killed = serving(box), []

    def kill():
        for _ in range(400):
            for child in processes_below(warm):
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{child}/stat").read_text().split()
                    if int(status[13]) + int(status[14]) >= 5:  # hundredths: it runs the answer
                        os.kill(child, signal.SIGKILL)
                        killed.append(child)
                        return
            time.sleep(0.01)

    killing = threading.Thread(target=kill)
    killing.start()
    lines = ["start = time.process_time()", "while time.process_time() < start + 0.3: pass"]
    assert is_right(box.observe(doing(*lines)))
    killing.join()
    assert killed


@pytest.mark.parametrize(
    "ended",
    [
        {"ending": "killed", "code": -9, "peak": 0},
        {"ending": "starved", "code": -9, "peak": 0},
        {"ending": "by itself", "code": None, "peak": 0},
    ],
)
def test_an_ending_that_is_the_machines_is_no_verdict(ended):
    with pytest.raises((WorkerLost, NotGraded)):
        Received(1, Limits()).reply(ended)


def test_a_given_cell_that_fails_is_not_the_answers_fault(box, at_once):
    broken = {"setup": ["import a_module_that_nobody_installed"]}
    with pytest.raises(NotGraded, match=r"given cannot be run.*a_module_that_nobody"):
        box.observe(job("double = abs") | broken)


def test_an_earlier_answer_that_fails_is_the_answers_fault(box):
    reply = box.observe(job("double = abs") | {"earlier": ["import a_module_of_mine"]})
    assert reply["status"] == "failed"


def test_no_message_advises_to_grade_without_a_wall():
    for text in (sandbox._NOT_INSTALLED, sandbox._REFUSED):
        assert "none" not in text
        assert "course doctor" in text


def test_what_has_come_in_time_is_read_however_late(box):
    """The judge was busy elsewhere: a clock is read after what is there already."""
    reader, writer = os.pipe()
    wire.write_frame(writer, b"in time")
    assert wire.read_frame(reader, max_bytes=99, deadline=time.monotonic() - 60) == b"in time"
    with pytest.raises(wire.OutOfTime):
        wire.read_frame(reader, max_bytes=99, deadline=time.monotonic() - 60)
    os.close(reader)
    os.close(writer)


# ------------------------------------------------------------------ the judge


def _rebuilt(tmp_path, notebook):
    submission = read_submission(hand_in(tmp_path, "ada", notebook))
    return rebuild(choose(LESSON, "", tmp_path)[0].notebook, submission)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        SystemError("mismatch"),
        OSError("EIO"),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_a_judge_that_lacks_something_gives_no_score(tmp_path, monkeypatch, error):
    def broken(check, observer, *, seed):
        raise error

    monkeypatch.setattr(results, "run", broken)
    with pytest.raises(NotGraded):
        judge(_rebuilt(tmp_path, solved()), lambda job: {}, seed=1, sandbox="none")


def test_a_submission_has_one_budget(tmp_path):
    jobs = []

    def slow(job):
        jobs.append(job["component"])
        return reply_of("timeout", "ran longer than 20 s", seconds=50.0)

    found = judge(_rebuilt(tmp_path, solved()), slow, seed=1, sandbox="none")
    assert len(jobs) == 3  # 150 s, of 120
    assert len(found) == 4
    assert "not run: the answers before it took the 120 s" in found[3]["message"]


def test_looking_for_who_is_to_blame_costs_no_points_and_blames_nobody_late():
    """A package whose first checks fail: the later ones are judged before anybody looks why."""
    checks, asked = read_package_checks(read_notebook("12_capstone")), []
    each = SECONDS / len(checks) + 0.1

    def observe(job):
        asked.append((job["component"], "part" in job))
        nothing = {"error": None, "outputs": [], "steps": []}
        return reply_of("done", "", [nothing] * len(job["calls"]), seconds=each)

    about = {"reason": "", "package": {"modules": our_package(), "reason": ""}}
    found = judge_package(checks, about, Budget(observe), seed=0, sandbox="none")
    assert asked == [(check.component, False) for check in checks]
    assert all("a part of it" not in result["message"] for result in found)
    each, asked = 1.0, []
    found = judge_package(checks, about, Budget(observe), seed=0, sandbox="none")
    assert [is_part for _, is_part in asked] == sorted(is_part for _, is_part in asked)
    assert "a part of it fails its own check" in found[0]["message"]


# ------------------------------------------------------------------ what reads text aside


@pytest.fixture
def own_aside():
    one = Aside()
    yield one
    one.close()


def test_a_highlighter_that_never_ends_is_killed_and_the_code_stands_there_plain(monkeypatch):
    monkeypatch.setattr(highlighting, "MOST_CHARACTERS", 100_000)
    started = time.process_time()
    page = highlight_code(QUADRATIC + "  # <b>")
    assert "%000" in page
    assert "&lt;b&gt;" in page
    assert "<span" not in page
    assert time.process_time() - started < 1.0  # none of it in this process
    assert '<span class="mi">1</span>' in highlight_code("x = 1")


def test_long_code_is_shown_in_part_and_never_highlighted(monkeypatch):
    monkeypatch.setattr(Aside, "ask", lambda *_, **__: pytest.fail("it was asked"))
    page = highlight_code("<" * (MOST_CHARACTERS + 7))
    assert page.count("&lt;") == MOST_CHARACTERS
    assert "and 7 characters more" in page


def test_too_much_text_is_too_dear_and_a_killed_reader_is_not(own_aside):
    with pytest.raises(TooDear, match="more than 1 s"):
        own_aside.ask("highlight", QUADRATIC, seconds=1)
    assert own_aside.ask("defined parts", {"m": "a = 1"}, seconds=1) == {"m": ["a"]}
    own_aside._process.kill()
    assert own_aside.ask("defined parts", {"m": "b = 1"}, seconds=1) == {"m": ["b"]}


def test_a_reader_that_cannot_start_gives_no_score(own_aside, monkeypatch):
    def broken(*_, **__):
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(aside, "_start", broken)
    with pytest.raises(AsideLost, match="no more processes"):
        own_aside.ask("highlight", "x", seconds=1)
    assert issubclass(AsideLost, NotGraded)


# ------------------------------------------------------------------ reading files


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_disk_that_fails_is_no_empty_notebook(tmp_path, monkeypatch, number):
    path = hand_in(tmp_path, "ada", solved())
    assert read_submission(path).reason == ""

    def broken(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match=os.strerror(number)):
        read_submission(path)


def test_what_cannot_be_looked_at_is_not_missing(tmp_path, monkeypatch):
    path = hand_in(tmp_path, "ada", solved())
    assert lies_there(path, top=tmp_path)
    assert not lies_there(tmp_path / "nothing" / "here", top=tmp_path)

    def refused(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(OSError, match="Input/output error"):
        lies_there(path, top=tmp_path)


# ------------------------------------------------------------------ a class


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    (course / "exercises").symlink_to(exercises_folder())
    hand_in(course / "class", "ada", solved())
    hand_in(
        course / "class",
        "ben",
        answer(solved(), "softmax", f"def softmax(x, axis=-1):\n    {QUADRATIC}"),
    )
    hand_in(course / "class", "cleo", solved())
    return course


def test_who_could_not_be_judged_is_tried_again_then_named_and_the_others_have_their_grades(
    course, tmp_path, monkeypatch
):
    original, tries = run.judge, []

    def failing(notebook, observe, **about):
        source = "".join(cell["source"] for cell in notebook["cells"])
        if QUADRATIC in source:
            tries.append(threading.active_count())
            raise NotGraded("the sandbox failed 3 times (no more processes)")
        return original(notebook, observe, **about)

    monkeypatch.setattr(run, "judge", failing)
    report = grade_class(course / "class", tmp_path / "out", root=course)
    assert len(tries) == 2
    assert report.not_graded == [f"ben {LESSON}"]
    assert report.problems == [
        f"ben {LESSON}: not graded: the sandbox failed 3 times (no more processes)"
    ]
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    assert {row["student"] for row in rows} == {"ada", "cleo"}
    assert all(row["points"] == row["max_points"] for row in rows)
    with Gradebook(f"sqlite:///{tmp_path}/out/gradebook.db") as book:
        assert {student.id for student in book.students} == {"ada", "cleo"}
    command = ["grade", "--submitted", str(course / "class"), "--out", str(tmp_path / "out")]
    monkeypatch.chdir(course)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"Not graded, and without a score: ben {LESSON}." in done.stderr


def test_who_fails_once_is_judged_the_second_time_and_a_page_that_fails_takes_no_grade(
    course, tmp_path, monkeypatch
):
    """The page of the dear literal is made, and in time."""
    original, failed = run.judge, []
    write, broken = class_gradebook._Feedback.write, []

    def failing(*args, **about):
        if not failed:
            failed.append(1)
            raise NotGraded("short of memory")
        return original(*args, **about)

    def no_page(self, resources, notebook):
        if resources["nbgrader"]["student"] == "cleo":
            broken.append(1)
            raise OSError("no space left")
        write(self, resources, notebook)

    monkeypatch.setattr(run, "judge", failing)
    monkeypatch.setattr(class_gradebook._Feedback, "write", no_page)
    report = grade_class(course / "class", tmp_path / "out", root=course)
    assert (report.not_graded, report.judged, len(broken)) == ([], 3, 2)
    assert report.problems == [
        f"cleo {LESSON}: no feedback could be written (OSError: no space left)"
    ]
    rows = read_grades(tmp_path / "out" / "grades_long.csv")
    assert {row["student"] for row in rows} == {"ada", "ben", "cleo"}
    page = tmp_path / "out" / "feedback" / "ben" / LESSON / f"{LESSON}.html"
    assert "%0000" in page.read_text("utf-8")
    monkeypatch.undo()
    assert grade_class(course / "class", tmp_path / "out", root=course).problems == []


def test_a_wall_that_was_there_and_is_gone_stops_nobody_else(course, tmp_path, monkeypatch):
    """The second round has a worker of its own, and so a sandbox."""
    original, opened, judge_all = run.Sandbox, [], run.judge

    def failing(mode, hide):
        opened.append(1)
        if len(opened) > 1:
            raise SandboxMissing("the sandbox (bubblewrap) does not start on this machine: memory")
        return original(mode, hide=hide)

    def judge_some(notebook, observe, **about):
        if QUADRATIC in "".join(cell["source"] for cell in notebook["cells"]) and len(opened) < 2:
            run_first = judge_all(notebook, observe, **about)
            assert run_first
            raise NotGraded("short of memory")
        return judge_all(notebook, observe, **about)

    monkeypatch.setattr(run, "Sandbox", failing)
    monkeypatch.setattr(run, "judge", judge_some)
    report = grade_class(course / "class", tmp_path / "out", root=course, workers=1)
    assert (report.not_graded, report.judged) == ([f"ben {LESSON}"], 2)
    assert "does not start on this machine" in report.problems[0]


def test_the_reader_ends_with_the_grader():
    program = (
        "from course_lib.grading.aside import ASIDE\n"
        "ASIDE.ask('highlight', 'x', seconds=1)\n"
        "import os; print(ASIDE._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    for _ in range(100):
        if not Path(f"/proc/{int(done.stdout)}").exists():
            return
        if ") Z " in Path(f"/proc/{int(done.stdout)}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("it is still there")


def test_observations_of_a_late_reader_are_whole():
    """Two frames and an end that came before the deadline, read after it."""
    reader, writer = os.pipe()
    for message in ({"observation": {"outputs": [np.ones(2)]}}, {"status": "done", "message": ""}):
        wire.write_frame(writer, wire.pack(message))
    os.close(writer)
    received = Received(1, Limits())
    received.read(reader, time.monotonic() - 1)
    os.close(reader)
    reply = received.reply({"ending": "by itself", "code": 0, "peak": 0, "seconds": 1.0})
    assert (reply["status"], len(reply["observations"])) == ("done", 1)


def test_the_page_about_grading_says_what_holds():
    page = (Path(__file__).parents[1] / "book" / "grading.md").read_text("utf-8")
    assert "Each answer has twenty seconds, and each submission two minutes" in page
    assert (Limits().wall_seconds, SECONDS) == (20.0, 120.0)
    assert f"more than {MOST_CHARACTERS:,} characters of a cell not at all" in page
