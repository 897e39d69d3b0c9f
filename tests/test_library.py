"""The library that is the answer: said in each exercise, told at the desk, marked in class."""

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest
from attacks.library import CALLED, NAMED, UNSEEN
from grading_fixtures import answer, hand_in, solved
from right_variants import all_variants

from course_lib.checks import all_checks, check, find, observe_here, run
from course_lib.checks.observe.load.answer import load_answer
from course_lib.checks.observe.load.names import library_names
from course_lib.checks.observe.watches.library import NAMES
from course_lib.checks.verdict.library import library_of, named_in, note_at_the_desk
from course_lib.grading import GradingError
from course_lib.grading.library import MARK, NO_POINTS, library_setting
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.lessons.contract import read_contract
from course_lib.lessons.source import component_source, given_source, to_learner

ROOT = Path(__file__).resolve().parent.parent
LESSON = "05_residual_and_layernorm"
CHECKS = all_checks()
ASKING = [check for check in CHECKS if library_of(check).names]
SAYS = "what you are building"


def job_of(component, source):
    return {
        "component": component,
        "modules": {},
        "setup": [
            given_source(find(component).module).replace("my_transformer", "course_lib.transformer")
        ],
        "earlier": [],
        "answer": source,
    }


def verdict_on(component, source, seed=0):
    loads = observe_here(lambda: load_answer(job_of(component, source)), load=True)
    return run(find(component), loads, seed=seed)


# --- what an exercise says ----------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_docstring_says_in_one_form_what_is_to_be_written(check):
    text = component_source(check.module, check.name)
    words = " ".join(text.split())
    assert words.count(SAYS) == bool(library_of(check).names), check.name
    assert set(library_of(check).names) <= set(NAMES)


def test_every_name_that_is_known_is_asked_for():
    assert {name for check in ASKING for name in library_of(check).names} == set(NAMES)
    assert len(ASKING) == 18


def test_the_reference_says_what_holds_for_all_others():
    text = (ROOT / "book" / "reference.md").read_text(encoding="utf-8")
    assert "Anything in Python, NumPy and torch" in text
    for one in ASKING:
        paragraphs = " ".join(read_contract(one.module, one.name).docstring.paragraphs)
        assert SAYS in " ".join(paragraphs.split())


@pytest.mark.parametrize("check", ASKING, ids=lambda check: check.name)
def test_a_stub_shows_what_is_to_be_written(check):
    path = ROOT / "exercises" / check.lesson / f"{check.lesson}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    stub = next(
        "".join(cell["source"])
        for cell in cells
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == check.name
    )
    assert SAYS in " ".join(stub.split())


# --- no false alarm -----------------------------------------------------------------------------

# Right variants that are the library's own. Nobody else's is marked.
LIBRARYS_OWN = {
    "weighted_average_by_numpy",
    "AffineIsLinear",
    "AffineByTheFunction",
    "softmax_by_torch",
    "attention_by_the_fused_kernel",
    "masked_attention_by_the_fused_kernel",
    "layer_norm_by_torch",
    "LayerNormOfTorch",
    "LayerNormRegistered",
    "gelu_by_torch",
    "blockwise_attention_by_rows",
}
VARIANTS = [v for v in all_variants() if library_of(find(v.component)).names]


@pytest.mark.parametrize("check", ASKING, ids=lambda check: check.name)
def test_ours_is_not_marked(check):
    ours = getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)
    verdict = run(check, observe_here(ours), seed=0)
    assert verdict.passed
    assert verdict.library == ()
    source = to_learner(component_source(check.module, check.name))
    assert named_in(check.name, library_names(source)) == ()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_of_the_right_variants_only_the_librarys_own_are_marked(variant):
    verdict = run(find(variant.component), observe_here(variant.implementation), seed=0)
    assert bool(verdict.library) == (variant.name in LIBRARYS_OWN)
    if variant.name not in LIBRARYS_OWN:
        source = inspect.getsource(variant.implementation)
        assert named_in(variant.component, library_names(source)) == ()


def test_what_is_not_the_answer_is_not_watched():
    asked = []

    def observe(calls):
        asked.extend(calls)
        return {"observations": []}

    run(find("next_token_loss"), observe, seed=0)
    assert asked
    assert not any("library" in call for call in asked)


# --- by whatever name ---------------------------------------------------------------------------


def test_there_are_enough_ways_round():
    assert len({attack.source for attack in (*CALLED, *NAMED, *UNSEEN)}) >= 40


@pytest.mark.parametrize("attack", CALLED, ids=lambda attack: attack.name)
def test_a_call_is_seen_under_whatever_name(attack):
    verdict = verdict_on(attack.component, attack.source)
    assert verdict.passed, verdict.message
    assert verdict.library


@pytest.mark.parametrize("attack", NAMED, ids=lambda attack: attack.name)
def test_what_is_not_seen_is_read(attack):
    verdict = verdict_on(attack.component, attack.source)
    assert verdict.passed, verdict.message
    assert verdict.library == ()
    assert named_in(attack.component, library_names(attack.source))


@pytest.mark.parametrize("attack", UNSEEN, ids=lambda attack: attack.name)
def test_what_hides_from_both_is_not_found_and_the_page_says_so(attack):
    verdict = verdict_on(attack.component, attack.source)
    assert verdict.passed, verdict.message
    assert verdict.library == ()
    assert named_in(attack.component, library_names(attack.source)) == ()
    assert "hides from both" in (ROOT / "book" / "grading.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def layer_norm(x):\n    '''Not F.layer_norm.'''", []),
        ("# F.layer_norm\nx = 'F.layer_norm'", []),
        ("def layer_norm(x): return x\nlayer_norm(F)", ["torch.nn.functional"]),
        ("def f(x: nn.LayerNorm) -> nn.GELU: return x", []),
        ("from torch.nn.functional import *\ny = gelu", ["torch.nn.functional.gelu"]),
        ("import scipy.special as s\ns.softmax(x)", ["scipy.special.softmax"]),
        ("F, G = nn, F\nF.functional.gelu", ["torch.nn", "torch.nn.functional.gelu"]),
        ("eval('F.ge' + 'lu')", ["torch.nn.functional.gelu"]),
        ("not Python (", []),
        ("-" * 100_000 + "1", []),
    ],
)
def test_a_text_is_read_for_what_it_uses(source, names):
    assert set(names) <= set(found := library_names(source))
    assert [one for one in found if "norm" in one.lower()] == []


# --- at the desk --------------------------------------------------------------------------------


def test_at_the_desk_it_counts_and_is_told_with_the_reason(capsys):
    import torch.nn.functional as F

    def gelu(x, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate={approximate!r}")
        return F.gelu(x, approximate=approximate)

    check(gelu)
    told = capsys.readouterr().out
    assert "gelu is right" in told
    assert "note: it calls F.gelu, which is what is to be written" in told
    assert "Write it from `torch.erf` and `torch.tanh`" in " ".join(told.split())
    assert all(len(line) <= 83 for line in told.splitlines())
    check(find_ours("gelu"))
    assert "note" not in capsys.readouterr().out


def find_ours(name):
    return getattr(importlib.import_module(f"course_lib.transformer.{find(name).module}"), name)


def test_what_only_stands_in_the_text_is_told_as_that():
    told = " ".join(note_at_the_desk("gelu", (), "y = F.gelu(x)").split())
    assert "its text names F.gelu" in told
    assert "no call was seen" in told
    assert note_at_the_desk("gelu", (), "y = F.relu(x)") == ""


# --- in class -----------------------------------------------------------------------------------

BY_TORCH = "def layer_norm(x, weight, bias, eps=1e-5):\n"
BY_TORCH += "    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"
NAMED_ONLY = next(attack.source for attack in NAMED if "never made" in attack.name)
COMPARED = next(attack.source for attack in NAMED if "compared with" in attack.name)


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder, "honest", solved(LESSON), LESSON)
    hand_in(folder, "library", answer(solved(LESSON), "layer_norm", BY_TORCH), LESSON)
    hand_in(folder, "names", answer(solved(LESSON), "layer_norm", NAMED_ONLY), LESSON)
    # What stands below a definition and only compares is no part of what is handed in.
    hand_in(folder, "compares", answer(solved(LESSON), "layer_norm", COMPARED), LESSON)
    return folder


def graded(submitted, place, setting=None):
    """Points, what the table says, and feedback."""
    root = place / "course"
    root.mkdir()
    if setting is not None:
        text = f"c = get_config()\nc.JudgeInSandbox.library = {setting!r}\n"
        (root / "nbgrader_config.py").write_text(text)
    out = place / "grades"
    assert grade_class(submitted, out, workers=1, root=root).problems == []
    rows = {(r["student"], r["component"]): r for r in read_grades(out / "grades_long.csv")}

    def page(student):
        html = (out / "feedback" / student / LESSON / f"{LESSON}.html").read_text()
        return " ".join(re.sub("<[^>]+>", "", html).split())

    return rows, page


def told_of(rows):
    return {key for key, row in rows.items() if row["diagnosis"]}


def test_a_class_marks_what_is_the_librarys_and_points_stand(submitted, tmp_path):
    rows, page = graded(submitted, tmp_path)
    assert all(row["points"] == row["max_points"] for row in rows.values())
    assert told_of(rows) == {("library", "layer_norm"), ("names", "layer_norm")}
    said = "it calls F.layer_norm, which is what is to be written"
    assert rows["library", "layer_norm"]["diagnosis"] == said
    assert f"note: {said}. Your points stand" in page("library")
    assert "no call was seen" in rows["names", "layer_norm"]["diagnosis"]
    assert "note: it" not in page("honest")


def test_a_class_may_give_no_points_for_what_was_called_and_for_that_alone(submitted, tmp_path):
    rows, page = graded(submitted, tmp_path, NO_POINTS)
    assert {key for key, row in rows.items() if row["points"] < row["max_points"]} == {
        ("library", "layer_norm")  # LayerNorm, which calls it, had ours to call
    }
    assert rows["library", "layer_norm"]["points"] == 0
    assert rows["library", "layer_norm"]["sandbox"] == "bubblewrap"
    assert "in this class that earns no points" in page("library")
    assert "no call was seen" in rows["names", "layer_norm"]["diagnosis"]


@pytest.mark.slow
def test_another_setting_grades_again_what_stands_on_record(submitted, tmp_path):
    root = tmp_path / "course"
    root.mkdir()
    first = grade_class(submitted, tmp_path / "grades", workers=1, root=root)
    again = grade_class(submitted, tmp_path / "grades", workers=1, root=root)
    (root / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.JudgeInSandbox.library = {NO_POINTS!r}\n"
    )
    third = grade_class(submitted, tmp_path / "grades", workers=1, root=root)
    assert (first.judged, again.judged, third.judged) == (4, 0, 4)


def test_a_setting_that_is_none_is_refused(tmp_path):
    assert library_setting(tmp_path) == MARK
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.JudgeInSandbox.library = 'zero'\n"
    )
    with pytest.raises(GradingError, match='must be "mark" or "no points", got \'zero\''):
        library_setting(tmp_path)
