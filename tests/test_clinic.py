"""Lesson 10's boundary: a test may call implementations, and get nothing else of them.

These tests need bubblewrap, as those of the sandbox do.
"""

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks.clinic import KNOWN_BEFOREHAND, table
from grading_fixtures import answer, hand_in, pristine, solved
from nbgrader.api import Gradebook

from course_lib.bugs.patients import admit, patients_of
from course_lib.bugs.patients.vetting import first_that_fits, fits
from course_lib.checks import find, observe_here, run
from course_lib.checks.lessons.clinic import MODEL
from course_lib.checks.observe.given.answers import Answers
from course_lib.checks.observe.load.answer import load_answer
from course_lib.checks.observe.probes import clinic
from course_lib.checks.observe.wall import wire
from course_lib.grading import releases, sandbox
from course_lib.grading.judging import earlier_modules
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.grading.sandbox import Limits, Sandbox
from course_lib.lessons.exercises import exercises_folder
from course_lib.lessons.source import component_source, given_source, to_learner

ROOT = Path(__file__).resolve().parent.parent
LESSON = "10_bug_clinic"
TESTS = ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation")
LIMITS = Limits(wall_seconds=120.0, memory_bytes=400 * 2**20, processes=16)  # for a busy machine
HURRIED = dataclasses.replace(LIMITS, wall_seconds=4.0)
NAMES = [patient.name for test in TESTS for patient in patients_of(test)]


@pytest.fixture(scope="module")
def walled():
    with Sandbox(limits=LIMITS) as box:
        yield box


@pytest.fixture
def box(walled):
    """A sandbox that must, whatever a test did to it, be as good as before."""
    yield walled
    walled.limits = LIMITS
    assert graded(walled, our_answer("test_attention")).passed


def our_answer(component):
    return to_learner(component_source("clinic", component))


def graded(box, cell, component="test_attention", seed=3, replies=None):
    """The verdict on a cell, observed in the sandbox."""
    job = {
        "component": component,
        "modules": earlier_modules("clinic"),
        "setup": [given_source("clinic"), "import gc, os, sys, time"],
        "earlier": [],
        "answer": textwrap.dedent(cell),
    }

    def observe(calls):
        reply = box.observe({**job, "calls": calls})
        if replies is not None:
            replies.append(reply)
        return reply

    return run(find(component), observe, seed=seed)


def doing(*lines):
    """A test of attention that does this, and accepts everything."""
    return "def test_attention(masked_attention):\n" + textwrap.indent("\n".join(lines), "    ")


def values(replies):
    return [seen.get("value") for seen in replies[0]["observations"]]


# --- what the grader does with honest tests ---------------------------------------------------


@pytest.mark.parametrize("component", TESTS)
def test_our_tests_earn_full_marks_behind_the_wall(box, component):
    verdict = graded(box, our_answer(component), component)
    assert verdict.passed, verdict.message
    assert verdict.points(5) == 5


def test_the_score_is_the_share_of_faulty_ones_caught(box):
    cell = doing(
        "q = torch.randn(3, 4)",
        "output, weights = masked_attention(q, q, q, torch.eye(3).bool())",
        "assert torch.allclose(output, q)",
    )
    verdict = graded(box, cell)
    here = run(find("test_attention"), observe_here(_compares_one_mask), seed=3)
    n_faulty = sum(not patient.is_right for patient in patients_of("test_attention"))
    assert 0 < verdict.share < 1
    assert verdict.share == here.share
    assert (verdict.share * n_faulty) == pytest.approx(round(verdict.share * n_faulty))
    assert f"{round(verdict.share * n_faulty)} of {n_faulty}" in verdict.message
    assert not any(name in verdict.message for name in NAMES)


def _compares_one_mask(masked_attention):
    q = torch.randn(3, 4)
    output, _ = masked_attention(q, q, q, torch.eye(3).bool())
    assert torch.allclose(output, q)


@pytest.mark.parametrize("how", ["assert False", "raise RuntimeError('no')", "1 / 0"])
def test_who_rejects_or_stumbles_over_a_right_one_earns_nothing(box, how):
    assert graded(box, doing(how)).points(5) == 0


def test_an_error_that_is_no_assertion_catches_nothing(box):
    cell = doing(
        "q = torch.ones(1, 1, 2).double()",
        "output, weights = masked_attention(q, q, 3 * q, torch.tensor([[False]]))",
        "if output.abs().max() != 0: raise ValueError('not zero')",
    )
    verdict = graded(box, cell)
    assert verdict.core_passed
    assert "raised ValueError" in verdict.message
    assert verdict.share < 0.2


def test_an_error_of_the_implementation_itself_counts_as_caught(box):
    replies = []
    verdict = graded(
        box, doing("q = torch.ones(2, 3)", "masked_attention(q, q, q)"), replies=replies
    )
    assert values(replies).count("gave up") == 1
    assert verdict.share == pytest.approx(1 / 25)


def test_without_a_wall_it_is_the_same():
    with Sandbox("none", limits=LIMITS) as plain:
        assert graded(plain, our_answer("test_attention")).passed


HALF = """
def test_attention(masked_attention):
    q, k, v = (torch.randn(3, n, 9, dtype=torch.float64) for n in (5, 7, 7))
    output, weights = masked_attention(q, k, v)
    expected = (q @ k.mT / 3).softmax(dim=-1)
    assert (weights - expected).abs().max() < 1e-6
    assert (output - expected @ v).abs().max() < 1e-6
"""


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    """A class: all right, nothing written, a test that finds some, one that cries wolf."""
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder, "right", solved(LESSON), LESSON)
    hand_in(folder, "stub", pristine(LESSON), LESSON)
    hand_in(folder, "half", answer(solved(LESSON), "test_attention", HALF), LESSON)
    wolf = "def test_causality(model):\n    assert False"
    hand_in(folder, "wolf", answer(solved(LESSON), "test_causality", wolf), LESSON)
    return folder


def is_as_it_must_be(points):
    """The points of each student and component."""
    assert points["right"] == {component: 3.0 for component in TESTS}
    assert set(points["stub"].values()) == {0.0}
    assert 0.5 < points["half"].pop("test_attention") < 2.5
    assert set(points["half"].values()) == {3.0}
    assert points["wolf"].pop("test_causality") == 0.0
    assert set(points["wolf"].values()) == {3.0}


def test_a_class_is_graded_by_shares(submitted, tmp_path):
    report = grade_class(submitted, tmp_path / "out", workers=1)
    assert report.problems == []
    points, told = {}, {}
    for row in read_grades(tmp_path / "out" / "grades_long.csv"):
        points.setdefault(row["student"], {})[row["component"]] = row["points"]
        told[row["student"], row["component"]] = row["diagnosis"]
    is_as_it_must_be(points)
    assert "faulty ones were caught" in told["half", "test_attention"]
    page = tmp_path / "out" / "feedback" / "half" / LESSON / f"{LESSON}.html"
    text = page.read_text()
    assert "missed: " in text
    assert not any(name in text for name in NAMES if "_" in name)


@pytest.mark.slow
def test_nbgrader_autograde_gives_shares_too(submitted, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(exercises_folder(), course / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    shutil.copytree(submitted, course / "submitted")
    releases.release(LESSON, course)
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", LESSON],
        cwd=course,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    points = {}
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        for student in ("right", "stub", "half", "wolf"):
            notebook = book.find_submission(LESSON, student).notebooks[0]
            points[student] = {
                grade.name.removeprefix("check-"): grade.score for grade in notebook.grades
            }
    is_as_it_must_be(points)


# --- what crosses -----------------------------------------------------------------------------


def test_nothing_that_enters_the_sandbox_tells_implementations_apart(box, monkeypatch):
    jobs = []
    run_job = sandbox._Worker.run

    def watched(self, packed, *rest):
        jobs.append(wire.unpack(packed, max_bytes=2**30))
        return run_job(self, packed, *rest)

    monkeypatch.setattr(sandbox._Worker, "run", watched)
    for component in TESTS:
        graded(box, our_answer(component), component)
        calls = jobs[-1]["calls"]
        assert len(calls) > 20
        assert all(call == calls[0] for call in calls)
        assert "patient" not in calls[0]
    text = repr(jobs)
    assert not any(name in text for name in set(NAMES) - {"ours", "by_torch"})


def test_the_order_is_another_in_every_run():
    orders = []
    for seed in range(5):

        def observe(calls):
            orders.append([call["patient"]["name"] for call in calls])
            return {"observations": []}

        run(find("test_attention"), observe, seed=seed)
    assert len({tuple(order) for order in orders}) == 5
    rights = {patient.name for patient in patients_of("test_attention") if patient.is_right}
    assert any(set(order[: len(rights)]) != rights for order in orders)


def stand_in_for(test, name, tested, config=None):
    """Call `tested` with the stand-ins for one patient, in this process."""
    patient = {"test": test, "name": name, "config": config, "seed": 1}
    call = {"probe": "clinic", "test": test, "config": config, "patient": patient}
    seen = {"error": None}
    clinic.answer_with(admit)
    clinic.observe_clinic(tested, call, seen)
    return seen


CONFIG = {
    "vocab_size": 13,
    "context_length": 7,
    "d_model": 6,
    "n_heads": 2,
    "n_layers": 1,
    "tie_weights": False,
}


def test_a_stand_in_answers_as_the_real_one_does():
    real = admit("test_attention", "ours", None, 0)["masked_attention"]

    def compare(masked_attention):
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            q = torch.randn(3, 2, 5, dtype=torch.float64).to(dtype).transpose(0, 1).requires_grad_()
            k = torch.randn(2, 1, 5, dtype=torch.float64).to(dtype).expand(2, 3, 5)
            for mask in (None, torch.rand(2, 3, 3) < 0.5, torch.ones(3, dtype=torch.bool)):
                results = masked_attention(q, k, v=k, mask=mask)
                assert isinstance(results, tuple)
                for one, other in zip(results, real(q, k, k, mask), strict=True):
                    assert torch.equal(one, other)
                    assert one.dtype == other.dtype
                    assert not one.requires_grad

    assert stand_in_for("test_attention", "ours", compare)["value"] == "accepted"


def test_a_stand_in_for_layer_norm_carries_gradients():
    real = admit("test_layer_norm", "by_torch", None, 0)["layer_norm"]

    def compare(layer_norm):
        x = torch.randn(5, 7).t().double().requires_grad_()
        weight, bias = torch.randn(5).double().requires_grad_(), torch.randn(5).double()
        for shift in (bias, None):
            pair = [norm(x, weight, shift, eps=0.1) for norm in (layer_norm, real)]
            assert torch.equal(*pair)
            gradients = [torch.autograd.grad(y.square().sum(), [x, weight]) for y in pair]
            for one, other in zip(*gradients, strict=True):
                assert torch.allclose(one, other, rtol=1e-12)
        x.grad = None
        layer_norm(x, weight, bias).sum().backward()
        assert x.grad.shape == x.shape
        with torch.no_grad():
            assert not layer_norm(x, weight, bias).requires_grad

    assert stand_in_for("test_layer_norm", "by_torch", compare)["value"] == "accepted"


def test_a_missing_gradient_comes_as_zeros():
    def look(layer_norm):
        weight = torch.ones(4, requires_grad=True)
        layer_norm(torch.randn(3, 4), weight, None).sum().backward()
        assert torch.equal(weight.grad, torch.zeros(4))

    assert stand_in_for("test_layer_norm", "detaches_the_weight", look)["value"] == "accepted"


def test_a_model_takes_ids_in_every_form_and_shows_its_config():
    def look(model, generate_cached):
        ids = torch.arange(6).view(2, 3)
        assert model.config.context_length == 7
        assert torch.equal(model(ids), model(ids.tolist()))
        assert torch.equal(model(ids.T.contiguous().T), model(ids.int()))
        assert torch.equal(generate_cached(model, ids, 2), generate_cached(model, ids.tolist(), 2))
        assert generate_cached(model, ids, n_new=1, temperature=0).shape == (2, 4)
        with pytest.raises(ValueError, match="greedy"):
            generate_cached(model, ids, 1, temperature=1.0)
        with pytest.raises(TypeError, match="the model that the test was given"):
            generate_cached(look, ids, 1)
        with pytest.raises(ValueError, match="context"):
            generate_cached(model, ids, 5)
        with pytest.raises(ValueError, match="context"):
            model(torch.zeros(1, 8, dtype=torch.int64))
        with pytest.raises(AttributeError, match="shows its config"):
            model.parameters()

    assert stand_in_for("test_cached_generation", "ours", look, CONFIG)["value"] == "accepted"


def test_a_stand_in_holds_nothing_that_leads_further():
    kept = []

    def keep(model, generate_cached):
        kept.extend([model, generate_cached])
        for one in kept:
            assert not hasattr(one, "__dict__")
            assert not hasattr(one, "__closure__")
        held = {
            slot
            for one in kept
            for cls in type(one).__mro__
            for slot in getattr(cls, "__slots__", ())
        }
        assert held == {"_number", "config", "_model"}

    assert stand_in_for("test_cached_generation", "ours", keep, CONFIG)["value"] == "accepted"
    with pytest.raises(RuntimeError, match="one test, which is over"):
        kept[0](torch.zeros(1, 1, dtype=torch.int64))


HOSTILE_QUESTIONS = [
    {},
    {"of": "masked_attention"},
    {"of": "__class__", "args": [], "cotangent": None},
    {"of": ["model"], "args": [], "cotangent": None},
    {"of": "masked_attention", "args": [1, 2, 3, 4], "cotangent": None},
    {"of": "masked_attention", "args": [None] * 4, "cotangent": {"array": np.ones(3)}},
    {"of": "masked_attention", "args": [None] * 400, "cotangent": None},
    {"of": "masked_attention", "args": [{"array": "q"}] * 4, "cotangent": None},
    {
        "of": "masked_attention",
        "args": [{"array": np.zeros((2**10, 2**10))}] * 4,
        "cotangent": None,
    },
    {"of": "masked_attention", "args": [{"array": np.zeros((0, 2**30, 1))}] * 4, "cotangent": None},
    {
        "of": "masked_attention",
        "args": [{"array": np.zeros((2**17, 1))}] * 3 + [None],
        "cotangent": None,
    },
    {"of": "masked_attention", "args": [{"items": [[]] * 9, "tuple": 1}] * 4, "cotangent": None},
    {"of": "generate_cached", "args": [None, 2**62], "cotangent": None},
    {"of": "model", "args": [{"array": np.array([[-1, 2**40]])}], "cotangent": None},
]


@pytest.mark.parametrize("question", HOSTILE_QUESTIONS, ids=range(len(HOSTILE_QUESTIONS)))
def test_a_hostile_question_gets_a_short_answer_without_names(question):
    for test, config in (("test_attention", None), ("test_cached_generation", CONFIG)):
        for name in ("ours", "uses_the_first_mask_for_all_texts", "never_resets"):
            with contextlib.suppress(KeyError):
                reply = Answers(admit(test, name, config, 1))(question)
                assert set(reply) <= {"refused", "error"}
                assert not any(one in repr(reply) for one in set(NAMES) - {"ours"})


# --- attacks ----------------------------------------------------------------------------------

SEND = "from observe.wall import wire; send = lambda value: wire.write_frame(3, wire.pack(value))"
LOOKS_AROUND = f"""
names = {set(NAMES) - {"ours"}!r}
found = set()
for thing in gc.get_objects():
    found |= {{str(getattr(thing, "__name__", ""))}} & names
    if isinstance(thing, str):
        found |= {{thing}} & names
frame = sys._getframe()
while frame:
    for value in frame.f_locals.values():
        text = "" if value is names else repr(value)[:10**6]
        found |= {{name for name in names if name in text and "names = " not in text}}
    frame = frame.f_back
for module in ("course_lib", "course_lib.bugs.patients", "bugs", "patients"):
    try:
        found.add(__import__(module).__name__)
    except ImportError:
        pass
todo, known = [masked_attention], set()
while todo and len(known) < 5000:
    thing = todo.pop()
    if id(thing) in known:
        continue
    known.add(id(thing))
    found |= {{str(getattr(thing, "__name__", ""))}} & names
    for name in ("__closure__", "__self__", "__func__", "__wrapped__", "_number"):
        todo.append(getattr(thing, name, None))
assert not found, found
"""


def test_a_test_that_looks_around_finds_nothing(box):
    replies = []
    verdict = graded(box, doing(*LOOKS_AROUND.splitlines()), replies=replies)
    assert set(values(replies)) == {"accepted"}, replies[0]["observations"][0]
    assert verdict.points(5) == 0


ATTACKS = {
    "a million calls": ["q = torch.ones(1, 1)", "while True: masked_attention(q, q, q)"],
    "huge tensors": ["q = torch.zeros(1).expand(2**34, 1)", "masked_attention(q, q, q)"],
    "a huge table of weights": ["q = torch.ones(2**17, 1)", "masked_attention(q, q, q)"],
    "many large tables": [
        "q = torch.ones(4000, 1)",
        "while True:",
        "    try: masked_attention(q, q, q)",
        "    except Exception: pass",
    ],
    "a huge question": [SEND, "send({'question': {'': '!' * 2**22}})", "send({'question': bytes})"],
    "a huge frame": ["os.write(3, b'\\x00\\x00\\x00\\x00\\x7f\\xff\\xff\\xff')", "time.sleep(60)"],
    "asks and never listens": [SEND, "while True: send({'question': {}})"],
    "asks for another": [SEND, "send({'question': {}, 'which': 3})"],
    "answers itself": ["os.write(5, b'x')"],
    "answers itself by the other pipe": [SEND, "send({'value': None})"],
    "closes its ear": ["os.close(5)", SEND, "for n in range(99): send({'question': {}})"],
    "closes its mouth": ["os.close(3)", "q = torch.ones(1, 1)", "masked_attention(q, q, q)"],
    "two ask at once": [
        "os.fork()",
        "q = torch.ones(3, 3)",
        "for n in range(50): masked_attention(q, q, q)",
    ],
    "hangs": ["while True: pass"],
    "leaves": ["os._exit(0)"],
    "kills all": ["os.kill(-1, 9)"],
    "kills its parent": ["os.kill(os.getppid(), 9)", "os.kill(1, 9)", "os._exit(3)"],
    "many processes": ["while True: os.fork()"],
    "calls all it sees faulty": [
        SEND,
        "for n in range(30): send({'observation': {'value': 'rejected'}})",
    ],
    "calls all it sees right": [
        SEND,
        "for n in range(30): send({'observation': {'value': 'accepted', 'points': 9}})",
    ],
    "makes up a verdict": [
        "frame = sys._getframe(1)",
        "frame.f_locals['seen']['value'] = 'caught them all'",
        "import observe.observing",
        "observe.observing.observe_call = lambda *a: {'value': 'caught', 'error': None}",
    ],
    "deep errors": ["raise AssertionError('x' * 10**6)"],
}


@pytest.mark.slow
@pytest.mark.parametrize("lines", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_earns_nothing_and_hurts_nobody(box, lines):
    box.limits = HURRIED
    verdict = graded(box, doing(*lines))
    assert verdict.points(5) == 0
    assert len(verdict.message) < 3000


def test_a_lost_worker_of_implementations_is_replaced(walled):
    assert graded(walled, our_answer("test_attention")).passed
    walled._patients._process.kill()
    walled._patients._process.wait()
    assert graded(walled, our_answer("test_attention")).passed


# --- what can be known beforehand -------------------------------------------------------------


def earned(test, source, seed):
    """The share that a cell earns in the run with this seed, observed in this process."""
    job = {
        "component": test,
        "modules": {},
        "setup": [given_source("clinic")],
        "earlier": [],
        "answer": source,
    }
    return run(find(test), observe_here(lambda: load_answer(job), load=True), seed=seed).share


@pytest.mark.parametrize("test", ["test_causality", "test_cached_generation"])
def test_a_table_of_one_run_earns_all_there_and_nothing_in_another(test):
    source = table(test, 3)
    assert len(source) < 3000
    assert earned(test, source, 3) == 1
    for seed in (4, 5, 6):
        assert earned(test, source, seed) == 0


@pytest.mark.parametrize("test", ["test_causality", "test_cached_generation"])
def test_the_models_are_others_in_every_run_and_the_same_within_one(test):
    drawn = []
    for seed in range(6):

        def observe(calls):
            drawn.append({call["patient"]["seed"] for call in calls})
            return {"observations": []}

        run(find(test), observe, seed=seed)
    assert all(len(seeds) == 1 for seeds in drawn)
    assert len(set.union(*drawn)) == 6


def test_a_model_that_hides_a_fault_or_leaves_two_tokens_alike_is_not_taken():
    config = tuple(MODEL.items())
    assert not fits("test_cached_generation", config, 2)  # generates nearly the same from anything
    assert not fits("test_causality", config, 17)  # right models differ by 1e-6
    taken = first_that_fits("test_cached_generation", MODEL, range(2, 9))
    assert taken == 3


@pytest.mark.parametrize("attack", KNOWN_BEFOREHAND, ids=lambda attack: attack.name)
def test_what_was_known_beforehand_earns_nothing(box, attack):
    assert graded(box, attack.source, attack.component, seed=7).share == 0
