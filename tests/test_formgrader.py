"""nbgrader's own programs on the folder of a graded class: its pages, and released feedback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from grading_fixtures import LESSON, hand_in, solved
from nbgrader.api import Gradebook
from nbgrader.utils import notebook_hash

from course_lib.cli import main
from course_lib.grading import run
from course_lib.grading.formgrader import command
from course_lib.grading.run import grade_class
from course_lib.lessons.exercises import exercises_folder, read_exercises

ROOT = Path(__file__).resolve().parent.parent
ODD = "[a]*? 学"
NIGHT = "2026-03-02 23:59:59 UTC"
SECRET = "5ec2e7" * 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A class of three: who came through an exchange, who did not, and who handed nothing in."""

    def judge(notebook, observe, **about):
        return [
            {"component": each.component, "message": "seen", "diagnosis": "", "sandbox": "none",
             "points": each.points, "seconds": 0.0}
            for each in read_exercises(notebook)
        ]  # fmt: skip

    place = tmp_path_factory.mktemp("place")
    shutil.copytree(exercises_folder() / LESSON, place / "course" / "exercises" / LESSON)
    shutil.copy(ROOT / "nbgrader_config.py", place / "course")
    with (place / "course" / "nbgrader_config.py").open("a") as config:
        config.write('\nc.ClassRules.times = "timestamp.txt"\n')
        config.write("c.CourseDirectory.course_id = 'transformers'\n")
        config.write(f"c.Exchange.root = {str(place / 'exchange')!r}\n")
    (place / "exchange").mkdir(mode=0o777)
    (place / "exchange").chmod(0o777)
    folder = hand_in(place / "class", "ada", solved()).parent
    (folder / "timestamp.txt").write_text(NIGHT)
    (folder / "submission_secret.txt").write_text(SECRET)
    hand_in(place / "class", ODD, solved())
    (place / "class" / "nobody").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "judge", judge)
        report = grade_class(place / "class", place / "out", root=place / "course")
    assert report.problems == []
    return place


# ------------------------------------------------------------------------------------ formgrader


@pytest.fixture(scope="module")
def ask(place):
    """Asks formgrader for a page, or sends what its pages send."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (place / "log").open("w")
    more = ["--allow-root", "--IdentityProvider.token=t", "--ServerApp.disable_check_xsrf=True"]
    server = subprocess.Popen(
        [*command(place / "out", browser=False, port=port), *more],
        cwd=place / "out", stdout=log, stderr=log,
        env={**os.environ, "JUPYTER_RUNTIME_DIR": str(place / "runtime")},
    )  # fmt: skip

    def ask(path, send=None):
        content = None if send is None else json.dumps(send).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/formgrader{path}", content,
            {"Authorization": "token t"}, method="GET" if send is None else "PUT",
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read().decode()

    for _ in range(240):
        try:
            ask("/api/status")
            break
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, (place / "log").read_text()
            time.sleep(0.5)
    yield ask
    server.terminate()
    server.wait(30)
    log.close()


def test_its_pages_show_the_class(place, ask):
    assert json.loads(ask("/api/status"))["status"] is True
    (assignment,) = json.loads(ask("/api/assignments"))
    assert (assignment["name"], assignment["num_submissions"]) == (LESSON, 2)
    rows = {row["student"]: row for row in json.loads(ask(f"/api/submissions/{LESSON}"))}
    assert {name for name, row in rows.items() if row["autograded"]} == {"ada", ODD}
    assert rows["ada"]["score"] == rows["ada"]["max_score"] == 7
    for row in json.loads(ask(f"/api/submitted_notebooks/{LESSON}/{LESSON}")):
        page = ask(f"/submissions/{row['id']}/")
        assert ">softmax<" in page
        assert "seen" in page
    for path in ("", f"/manage_submissions/{LESSON}", f"/gradebook/{LESSON}/{LESSON}"):
        assert "<title>nbgrader formgrade" in ask(path)
    assert "nobody" in ask("/api/students")


def test_a_mark_in_it_is_in_the_table_after_the_next_run(place, ask):
    rows = json.loads(ask(f"/api/submitted_notebooks/{LESSON}/{LESSON}"))
    ada = next(row for row in rows if row["student"] == "ada")
    grades = json.loads(ask(f"/api/grades?submission_id={ada['id']}"))
    grade = next(each for each in grades if each["name"] == "check-softmax")
    ask(f"/api/grade/{grade['id']}", {"manual_score": 0.25, "extra_credit": None})
    table = place / "out" / "grades_long.csv"
    grade_class(place / "class", place / "out", root=place / "course")
    (row,) = [
        line for line in table.read_text().splitlines() if line.startswith(f"ada,{LESSON},softmax,")
    ]
    assert row.split(",")[3:5] == ["0.25", "1"]
    assert ",manual," in row


def test_a_folder_without_grades_is_told(tmp_path):
    done = CliRunner().invoke(main, ["formgrader", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds no grades" in done.stderr


# --------------------------------------------------------------------------------------- exchange


def test_feedback_can_be_released_from_a_folder_of_grades(place):
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "release_feedback", LESSON],
        cwd=place / "out", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    released = place / "exchange" / "transformers" / "feedback"
    name = notebook_hash(secret=SECRET, notebook_id=LESSON)
    page = place / "out" / "feedback" / "ada" / LESSON / f"{LESSON}.html"
    assert (released / f"{name}.html").read_bytes() == page.read_bytes()
    with Gradebook(f"sqlite:///{place}/out/gradebook.db") as book:
        times = {s.student_id: s.timestamp for s in book.assignment_submissions(LESSON)}
    assert (str(times["ada"]), times[ODD]) == ("2026-03-02 23:59:59", None)
