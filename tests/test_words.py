"""What an answer says beside a part of ours is judged, and not shown: it can read our text."""

import json

import pytest
from attacks.replies import OUT_LOUD
from grading_fixtures import answer, cell_of, hand_in, pristine, solved

from course_lib.grading.judging import judge
from course_lib.grading.sandbox import Sandbox
from course_lib.grading.submission import read_submission, rebuild

OURS = "Positive"  # begins the docstring of our softmax, within what the attacks read out


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def attention_of(notebook, sandbox, tmp_path):
    """What is told of `attention`, as the student reads it and as the table has it."""
    clean = pristine()
    for cell in clean["cells"]:
        cell["source"] = "".join(cell["source"])
    rebuilt = rebuild(clean, read_submission(hand_in(tmp_path, "a", notebook)))
    results = judge(rebuilt, sandbox.observe, seed=5, sandbox=sandbox.how)
    return next(one for one in results if one["component"] == "attention")


@pytest.mark.parametrize("attack", OUT_LOUD, ids=lambda attack: attack.name)
def test_our_text_is_in_no_message(attack, sandbox, tmp_path):
    result = attention_of(answer(pristine(), "attention", attack.source), sandbox, tmp_path)
    assert result["points"] == 0
    told = json.dumps(result)
    assert OURS not in told
    assert "is not shown here, for softmax, attention_numpy did not" in told


def test_an_error_is_told_in_full_where_nothing_of_ours_stands_in(sandbox, tmp_path):
    notebook = answer(solved(), "attention", "def attention(*a, **k): raise ValueError('my words')")
    assert "my words" in attention_of(notebook, sandbox, tmp_path)["message"]
    answer(notebook, "softmax", cell_of(pristine(), "softmax")["source"])
    told = attention_of(notebook, sandbox, tmp_path)["message"]
    assert "my words" not in told
    assert "raised ValueError" in told
