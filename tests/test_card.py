"""The card that Jupyter shows in place of a check's text, and what can be done with a failure."""

import pickle
import re

import numpy as np
import pytest
import torch

from course_lib.bugs import all_bugs, find_bug
from course_lib.checks import find, observe_here, run
from course_lib.checks.local import render_printed
from course_lib.lessons.exercises import require_exercise
from course_lib.transformer.attention import attention
from course_lib.workspace.card import failure_card
from course_lib.workspace.repeating import (
    can_be_called_with_inputs,
    inputs_of,
    reference,
    repeat,
)


def failure_of(bug):
    verdict = run(find(bug.component), observe_here(bug.implementation), seed=0)
    return verdict.failure, verdict.message


def one_bug_each():
    first = {}
    for bug in all_bugs():
        first.setdefault(bug.component, bug)
    return list(first.values())


def card_of(bug):
    failure, message = failure_of(bug)
    hints = require_exercise(bug.component).hints
    return failure_card(
        bug.component, failure, message, hints=hints, inputs="x = 1", again="check.inputs"
    )


@pytest.mark.parametrize("bug", one_bug_each(), ids=lambda bug: bug.component)
def test_the_inputs_of_a_failure_can_be_shown_and_its_call_made_again(bug):
    """Ours, called again, does what it does alone; a lesson's bug does what the message says."""
    failure, _ = failure_of(bug)
    ours = reference(require_exercise(bug.component))
    inputs = inputs_of(failure.call, ours)
    assert inputs
    assert len(repr(inputs).splitlines()) <= 15 * len(inputs)
    repeat(ours, failure.call)
    if can_be_called_with_inputs(failure.call):
        ours(**inputs)


def test_calling_by_hand_with_the_inputs_gives_what_the_message_says():
    bug = find_bug("divides_by_the_width")
    failure, message = failure_of(bug)
    inputs = inputs_of(failure.call, attention)
    assert list(inputs) == ["q", "k", "v"]
    got, expected = bug.implementation(**inputs)[0], attention(**inputs)[0]
    assert f"expected: {float(expected[0, 0]):.6g}\n  got:      {float(got[0, 0]):.6g}" in message
    again = repeat(bug.implementation, failure.call)
    assert np.array_equal(again[0], got)


def test_an_error_of_a_repeated_call_comes_as_it_is(capsys):
    failure, _ = failure_of(find_bug("divides_by_the_width"))

    def noisy(q, k, v):
        print("here")
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        repeat(noisy, failure.call)
    assert capsys.readouterr().out == "here\n"


def test_the_failing_calls_own_prints_are_told_and_the_rest_are_counted(capsys):
    def noisy(q, k, v):
        print(f"q is {tuple(q.shape)}")
        return attention(q + 1, k, v) if q.dtype == torch.float64 else attention(q, k, v)

    observer = observe_here(noisy)
    verdict = run(find("attention"), observer, seed=0)
    assert capsys.readouterr().out == ""
    said = render_printed(verdict, observer)
    shape = verdict.failure.call["args"][0].shape
    assert said[:2] == ["  this call printed:", f"    q is {tuple(shape)}"]
    n = sum(text.count("\n") for text in observer.printed)
    assert said[2:] == [f"  note: {n - 1} more printed lines are not shown"]


def test_a_card_holds_what_the_message_says_and_folds_away_the_rest():
    bug = find_bug("divides_by_the_width")
    failure, message = failure_of(bug)
    html = card_of(bug)._repr_html_()
    for text in (failure.rule, failure.finding.expected, failure.finding.got, bug.title):
        assert text in html
    folded = re.findall(r"<summary>(.*?)</summary>", html)
    assert folded[:2] == ["A picture: expected, and what came", "The inputs of this call"]
    assert "Hint 1" in folded
    assert html.count("<details>") == html.count("</details>") == len(folded)
    assert repr(card_of(bug)) == message


def test_a_card_escapes_what_the_answer_says_and_asks_no_other_host():
    def speaks_html(q, k, v):
        raise ValueError("<script>alert('x')</script>")

    verdict = run(find("attention"), observe_here(speaks_html), seed=0)
    card = failure_card(
        "attention", verdict.failure, verdict.message, hints=(), inputs="<b>", again=""
    )
    assert "<script" not in card.html
    assert "<b>" not in card.html
    assert not re.search(r"(src|href)=|url\(", card.html)


def test_the_picture_marks_each_wrong_number_and_says_what_the_shades_are():
    failure, _ = failure_of(find_bug("lets_the_next_key_in"))
    expected, got = failure.finding.arrays
    html = card_of(find_bug("lets_the_next_key_in")).html
    assert html.count(">×</td>") == 2 * int((expected != got).sum())
    assert "light is 0, dark is 1; × marks what is wrong" in html


def test_a_card_reads_a_hints_markdown():
    failure, message = failure_of(find_bug("divides_by_the_width"))
    hints = ["Take `a * b * c`, *not* `a`, < 1."]
    html = failure_card("f", failure, message, hints=hints, inputs="", again="").html
    assert "Take <code>a * b * c</code>, <em>not</em> <code>a</code>, &lt; 1." in html


def test_a_verdict_can_be_sent_to_another_process():
    for bug in (find_bug("divides_by_the_width"), next(bug for bug in all_bugs() if bug.whole)):
        verdict = run(find(bug.component), observe_here(bug.implementation), seed=0)
        assert pickle.loads(pickle.dumps(verdict)).message == verdict.message
