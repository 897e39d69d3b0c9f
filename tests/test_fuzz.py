"""Whatever is read of a submission, made up by hypothesis: refused with a reason, or read, in time.

In `make test` a few dozen examples of each; `make fuzz` goes on for an hour, each test in its turn.
"""

import json
import os
import string
import tempfile
import time
from pathlib import Path

import pytest
from grading_fixtures import LESSON, cell_of, pristine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib.checks import find, run
from course_lib.checks.observe.wall import wire
from course_lib.grading import GradingError
from course_lib.grading.classroom import recorded, students_of
from course_lib.grading.late import time_of
from course_lib.grading.received import Limits, Received, WorkerLost
from course_lib.grading.records import COLUMNS, read_grades, write_grades
from course_lib.grading.results import printable
from course_lib.grading.submission import read_submission, rebuild
from course_lib.grading.words import without_words
from course_lib.lessons.package_text import PACKAGE, read_package
from course_lib.own_files import Unreadable, bytes_of

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
N_TESTS = 9
AT_MOST = 5.0  # seconds for one example, on a busy machine

EXAMPLES = settings(
    max_examples=10**9 if SECONDS else 40,
    deadline=None,
    derandomize=not SECONDS,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class OutOfTime(BaseException):
    """The share of this test in a long run is over."""


@pytest.fixture(autouse=True)
def share():
    """In a long run, when this test has to end."""
    return time.monotonic() + SECONDS / N_TESTS if SECONDS else None


def within_time(test):
    """A test that takes an example: each of them in time, and all of them in the test's share."""

    def all_examples(share):
        @EXAMPLES
        @given(test.examples)
        def every(example):
            if share is not None and time.monotonic() > share:
                raise OutOfTime
            started = time.monotonic()
            test(example)
            assert time.monotonic() - started < AT_MOST

        try:
            every()
        except OutOfTime:
            assert share is not None

    all_examples.__name__, all_examples.__doc__ = test.__name__, test.__doc__
    return all_examples


def about(examples):
    """Which examples a test takes."""

    def remember(test):
        test.examples = examples
        return within_time(test)

    return remember


# ------------------------------------------------------------------------------- what is made up

TEXT = st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Cc", "Cf"]), max_size=8)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
ANY = st.recursive(
    NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    [
        "nbformat",
        "cells",
        "metadata",
        "course",
        "release",
        "nbgrader",
        "grade_id",
        "softmax",
        "code",
    ]
)
CELL = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown"]) | ANY,
        "source": TEXT | st.lists(TEXT, max_size=3) | ANY,
        "metadata": st.fixed_dictionaries(
            {}, optional={"nbgrader": st.fixed_dictionaries({"grade_id": WORDS | ANY}) | ANY}
        )
        | ANY,
    },
)
NOTEBOOKS = st.fixed_dictionaries(
    {},
    optional={
        "nbformat": st.just(4) | ANY,
        "metadata": st.fixed_dictionaries({"course": st.dictionaries(WORDS, ANY)}) | ANY,
        "cells": st.lists(CELL | ANY, max_size=6) | ANY,
    },
)
NOTEBOOK_FILES = (
    NOTEBOOKS.map(lambda tree: json.dumps(tree).encode())
    | st.binary(max_size=200)
    | st.builds(
        lambda tree, cut, more: json.dumps(tree).encode()[:cut] + more,
        NOTEBOOKS,
        st.integers(0, 200),
        st.binary(max_size=20),
    )
)
NAMES = (
    (TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=255))
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")[:255])
    .filter(lambda name: name not in (b"", b".", b".."))
)
MESSAGES = st.lists(
    st.one_of(
        ANY.map(lambda value: {"observation": value}),
        st.fixed_dictionaries({"status": TEXT | st.just("done"), "message": TEXT | ANY}),
        st.fixed_dictionaries({"question": ANY}),
        ANY,
    ),
    max_size=5,
)
OBSERVATION = st.fixed_dictionaries(
    {},
    optional={
        "error": ANY | st.fixed_dictionaries({"type": TEXT, "message": TEXT, "classes": ANY}),
        "outputs": st.lists(
            st.fixed_dictionaries({}, optional={"kind": TEXT, "array": ANY, "dtype": TEXT}) | ANY,
            max_size=3,
        )
        | ANY,
        "structure": TEXT | ANY,
        "n_parts": NUMBERS,
        "value": ANY,
        "changed": ANY,
    },
)
REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["done", "failed", "timeout", "refused"]) | ANY,
        "message": TEXT | ANY,
        "observations": st.lists(OBSERVATION | ANY, max_size=30) | ANY,
    },
)


def clean_notebook():
    notebook = pristine()
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


CLEAN = clean_notebook()


# ----------------------------------------------------------------------------------- the properties


@about(NOTEBOOK_FILES)
def test_any_notebook_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a", LESSON, f"{LESSON}.ipynb")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        submission = read_submission(path)
    rebuilt = rebuild(CLEAN, submission)
    grading = rebuilt["metadata"]["course"]["grading"]
    json.dumps(rebuilt).encode("utf-8")
    if submission.reason:
        assert "softmax" in grading["problems"]
    elif "softmax" not in grading["problems"]:
        assert cell_of(rebuilt, "softmax")["source"] == submission.sources["softmax"][0]


@about(st.dictionaries(NAMES, st.binary(max_size=60), max_size=5))
def test_any_package_is_read_or_refused(files):
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, PACKAGE)
        package.mkdir()
        for name, content in files.items():
            path = package / (os.fsdecode(name[:240]) + ".py")
            path.write_bytes(content)
        found = read_package(package, top=Path(folder))
    assert not (found.reason and found.modules)
    assert all(name.isascii() and name.isidentifier() for name in found.modules)


@about(st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_any_two_names_are_two_students_who_can_be_shown(names):
    names = [os.fsdecode(name) for name in names]
    students = [recorded(name) for name in names]
    assert len(set(students)) == len(students)
    for student in students:
        assert student.isprintable()
        assert student == student.strip()
        assert len(student.encode("utf-8")) <= 255
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, name).mkdir()
        hidden = {recorded(name) for name in names if name.startswith(".")}
        try:
            assert set(students_of(Path(folder))) == set(students) - hidden
        except GradingError:
            assert hidden == set(students)


@about(st.lists(TEXT, min_size=1, max_size=4))
def test_any_text_comes_back_from_the_table_and_is_no_formula(texts):
    texts = [printable(text).replace("\n", " ") for text in texts]
    row = dict.fromkeys(COLUMNS, "x") | {"points": 0.5, "max_points": 1.0, "seconds": 0.0}
    rows = [row | {"student": text, "comment": text} for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "grades.csv")
        write_grades(path, rows)
        assert read_grades(path) == rows
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            assert not line.lstrip('"').startswith(("=", "+", "-", "@", "\t"))


@about(TEXT | st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "replace")))
def test_any_time_is_a_time_or_refused(text):
    try:
        when = time_of(text, "it")
    except GradingError:
        return
    assert when.tzinfo is None


@about(st.binary(max_size=300) | MESSAGES)
def test_any_bytes_of_a_worker_are_a_reply_or_no_worker(sent):
    if not isinstance(sent, bytes):
        try:
            packed = [wire.pack(message) for message in sent]
        except (wire.WireError, TypeError, ValueError, OverflowError, RecursionError):
            return
        sent = b"".join(len(each).to_bytes(8, "big") + each for each in packed)
    reader, writer = os.pipe()
    try:
        os.write(writer, sent)
        os.close(writer)
        received = Received(2, Limits(reply_bytes=4096))
        received.read(reader, time.monotonic() + AT_MOST)
        reply = received.reply({"code": 0, "peak": 0})
    except WorkerLost:
        return
    finally:
        os.close(reader)
    assert set(reply) == {"status", "message", "observations", "seconds"}
    assert len(reply["observations"]) <= 2
    if reply["status"] == "done":
        assert len(reply["observations"]) == 2


@about(st.dictionaries(TEXT, ANY, max_size=4))
def test_any_ending_of_a_worker_is_a_reply_or_no_worker(ended):
    try:
        reply = Received(2, Limits()).reply(ended)
    except WorkerLost:
        return
    assert reply["status"] != "done"


@about(REPLIES)
def test_any_reply_earns_nothing(reply):
    for observed in (reply, without_words(reply)):
        verdict = run(find("softmax"), lambda calls, said=observed: said, seed=3)
        assert verdict.points(1.0) == 0
        assert verdict.message


@about(
    st.tuples(
        st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), min_size=1, max_size=3),
        st.sampled_from(["file", "link", "pipe", "folder", "nothing", "loop", "hard link"]),
        st.integers(0, 2),
    )
)
def test_anything_that_lies_there_is_its_own_file_or_refused(example):
    parts, what, where = example
    with tempfile.TemporaryDirectory() as folder:
        top, secret = Path(folder, "class"), Path(folder, "secret")
        secret.mkdir()
        (secret / "text").write_bytes(b"secret")
        path = top.joinpath(*(f"{n}{part}" for n, part in enumerate(parts)), "text")
        path.parent.mkdir(parents=True)
        place = path if where == 0 else path.parent
        if place != path:
            place.rmdir()
        put = {
            "file": lambda: place.write_bytes(b"own"),
            "link": lambda: place.symlink_to(secret / "text" if place == path else secret),
            "pipe": lambda: os.mkfifo(place),
            "folder": lambda: place.mkdir(),
            "nothing": lambda: None,
            "loop": lambda: place.symlink_to(place),
            "hard link": lambda: os.link(secret / "text", place),
        }
        put[what]()
        try:
            content = bytes_of(path, 10, top=top)
        except Unreadable:
            assert (what, place) != ("file", path)
        else:
            assert content == b"own"
