"""`course watch`: a save is judged, an endless answer is stopped, and keys do what they say."""

import json
import os
import pty
import queue
import subprocess
import sys
import threading
import time

import pytest

from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace import watch as watching
from course_lib.workspace.apart import Judge, Judged
from course_lib.workspace.start import start
from course_lib.workspace.watched import Watched

LESSON = "03_causal_masking"
RIGHT = to_learner(component_source("masking", "causal_mask")).strip()
WRONG = "def causal_mask(n_queries, n_keys=None, *, device=None):\n    return None\n"
ENDLESS = (
    "def causal_mask(n_queries, n_keys=None, *, device=None):\n    while True:\n        pass\n"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return start(tmp_path_factory.mktemp("watch") / "my desk")


@pytest.fixture
def judge(desk):
    judge = Judge(desk, seconds=15)
    yield judge
    judge.close()


def the_cell(notebook):
    return next(cell for cell in notebook["cells"] if cell["id"] == "causal-mask")


def read(desk):
    """The text of the cell for the causal mask, as saved."""
    return the_cell(json.loads((desk / f"{LESSON}.ipynb").read_text("utf-8")))["source"]


def save(desk, source):
    """Type a causal mask into its cell, and save the notebook as JupyterLab does."""
    path = desk / f"{LESSON}.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    the_cell(notebook)["source"] = source
    path.write_text(json.dumps(notebook), "utf-8")
    return path


def test_a_notebook_is_judged_as_it_was_saved(desk, judge):
    (wrong,) = watching.judged_in(desk, save(desk, WRONG), judge)
    assert (wrong.component, wrong.passed) == ("causal_mask", False)
    assert wrong.text.startswith("causal_mask(4): nothing came back")
    (right,) = watching.judged_in(desk, save(desk, RIGHT), judge)
    assert right.passed
    assert right.text.startswith("causal_mask is right: ")


def test_a_module_is_judged_by_what_it_defines(desk, judge):
    path = desk / "my_transformer" / "masking.py"
    assert watching.judged_in(desk, path, judge) == []
    before = path.read_text("utf-8")
    path.write_text(f"{before}\n\n{RIGHT}\n\n\ndef padding_mask(n): return n\n", "utf-8")
    found = watching.judged_in(desk, path, judge)
    assert [(one.component, one.passed) for one in found] == [
        ("causal_mask", True),
        ("padding_mask", False),
    ]
    path.write_text(before, "utf-8")


def test_what_is_none_of_the_course_is_not_judged(desk, judge):
    for name in ("notes.ipynb", "my_transformer/mine.py"):
        (desk / name).write_text("{}", "utf-8")
        assert watching.judged_in(desk, desk / name, judge) == []
        (desk / name).unlink()


def test_an_answer_that_never_ends_is_stopped_and_the_next_is_judged(desk):
    judge = Judge(desk, seconds=4)
    try:
        (stopped,) = watching.judged_in(desk, save(desk, ENDLESS), judge)
        assert not stopped.passed
        assert "did not end within 4 s and was stopped" in stopped.text
        judge._seconds = 30
        (right,) = watching.judged_in(desk, save(desk, RIGHT), judge)
        assert right.passed
    finally:
        judge.close()


def test_an_answer_that_leaves_python_is_told_so(desk, judge):
    source = (
        "import os\n\n\ndef causal_mask(n_queries, n_keys=None, *, device=None):\n    os._exit(3)"
    )
    (gone,) = watching.judged_in(desk, save(desk, source), judge)
    assert "ended the process that checked it" in gone.text


# --- the screen -------------------------------------------------------------------------------


def test_keys_walk_through_failures_and_hints(desk):
    watched = Watched(desk)
    watched.take([Judged("causal_mask", False, "causal_mask: no")], "a.ipynb")
    watched.take([Judged("softmax", False, "softmax: no"), Judged("gelu", True, "")], "b.ipynb")
    assert watched.note == "b.ipynb: 1 right, 1 wrong."
    assert "softmax: no" in watched.lines()
    watched.press("n")
    assert "causal_mask: no" in watched.lines()
    for _ in range(9):  # there are fewer hints
        watched.press("h")
    assert sum(line.startswith("  hint ") for line in watched.lines()) == 3
    watched.press("n")
    assert not any(line.startswith("  hint ") for line in watched.lines())
    watched.take([Judged("softmax", True, "softmax is right")], "b.ipynb")
    watched.take([Judged("causal_mask", True, "causal_mask is right")], "a.ipynb")
    assert watched.shown == ""


def test_nothing_is_reset_that_was_not_asked_for_twice(desk):
    save(desk, WRONG)
    watched = Watched(desk)
    watched.take([Judged("causal_mask", False, "causal_mask: no")], "a.ipynb")
    for key in ("y", "r", "h", "y"):
        watched.press(key)
    assert read(desk) == WRONG
    for key in ("r", "y"):
        watched.press(key)
    assert "as it was handed out" in watched.note
    assert watched.judged == {}


# --- the whole --------------------------------------------------------------------------------


def test_a_save_is_seen_and_shown_and_q_ends_it(desk):
    save(desk, RIGHT)
    keys, screens = queue.Queue(), queue.Queue()
    watcher = threading.Thread(
        target=watching.watch, args=(desk,), kwargs={"show": screens.put, "key": keys.get}
    )
    watcher.start()
    assert screens.get(timeout=60)[0].startswith("Waiting for you to save")
    deadline = time.monotonic() + 120
    shown = []
    while not any(line.startswith("WRONG  causal_mask") for line in shown):
        assert time.monotonic() < deadline, shown
        save(desk, WRONG)  # again, until the watcher has begun to look
        try:
            shown = screens.get(timeout=20)
        except queue.Empty:
            continue
    keys.put("q")
    watcher.join(60)
    assert not watcher.is_alive()


def test_without_a_terminal_it_says_so(desk):
    done = subprocess.run(
        [sys.executable, "-m", "course_lib", "watch"],
        cwd=desk, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is for a terminal" in done.stderr


def test_on_a_terminal_it_shows_its_keys_and_ends_by_q(desk):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "course_lib", "watch"], stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=desk, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while b"q quit" not in said:
        said += os.read(ours, 4096)
    os.write(ours, b"q")
    assert process.wait(60) == 0
    os.close(ours)
