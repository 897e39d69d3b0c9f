"""A hint follows from how a property failed: its own for a wrong value, a general one otherwise."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from course_lib.bugs import find_bug
from course_lib.checks import find, observe_here, run
from course_lib.checks.observe.load.answer import run_cell
from course_lib.checks.verdict import diagnosis
from course_lib.checks.verdict.hints import GENERAL
from course_lib.transformer.attention import attention
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.tokens import Embeddings


def hint_of(component, implementation) -> str:
    """The hint of a verdict's message, on one line; empty where it has none."""
    message = run(find(component), observe_here(implementation), seed=0).message
    assert message
    _, _, hint = " ".join(message.split()).partition("hint: ")
    return hint


def unwritten(q, k, v):
    raise NotImplementedError


def raises_by_mistake(q, k, v):
    return attention(q, k.missing, v)


def returns_nothing(q, k, v):
    attention(q, k, v)


def returns_text(q, k, v):
    return "output", "weights"


def of_another_shape(q, k, v):
    output, weights = attention(q, k, v)
    return output[..., :1], weights


def of_another_dtype(q, k, v):
    return tuple(part.float() for part in attention(q, k, v))


def of_few_digits(q, k, v):
    return tuple(part.to(q.dtype) for part in attention(q.float(), k.float(), v.float()))


def never_finite(q, k, v):
    return tuple(part / 0 for part in attention(q, k, v))


def without_gradients(q, k, v):
    return attention(q.detach(), k.detach(), v.detach())


def half_the_gradient(q, k, v):
    output, weights = attention(q, k, v)
    return output / 2 + output.detach() / 2, weights


def changes_its_inputs(q, k, v):
    found = attention(q, k, v)
    if not q.requires_grad:
        q.zero_()
    return found


def on_the_cpu(q, k, v):
    output, weights = attention(q, k, v)
    return output + torch.zeros(output.shape, dtype=output.dtype), weights


HOW = {
    "not written": unwritten,
    "raised": raises_by_mistake,
    "nothing": returns_nothing,
    "type": returns_text,
    "shape": of_another_shape,
    "dtype": of_another_dtype,
    "few digits": of_few_digits,
    "not finite": never_finite,
    "no gradient": without_gradients,
    "gradient": half_the_gradient,
    "changed": changes_its_inputs,
    "device": on_the_cpu,
}


@pytest.mark.parametrize("how", [how for how in HOW if how not in ("changed", "device")])
def test_a_failure_of_each_kind_has_its_general_hint(how):
    assert hint_of("attention", HOW[how]) == GENERAL[how]


@pytest.mark.parametrize("how", ["changed", "device"])
def test_a_property_that_speaks_of_the_failure_gives_its_own_hint(how):
    own = {prop.hint for prop in find("attention").properties if how in prop.fits}
    assert hint_of("attention", HOW[how]) in own


def test_a_wrong_value_has_the_hint_of_its_property():
    def shifted(q, k, v):
        output, weights = attention(q, k, v)
        return output + 1, weights

    assert hint_of("attention", shifted) in {p.hint for p in find("attention").properties}


def test_an_answer_that_refuses_what_is_in_order_is_told_so():
    cell = "def attention(q, k, v):\n    raise ValueError('no')\n"
    answer = run_cell(cell, "attention", {})
    assert hint_of("attention", answer) == GENERAL["refused"]


def test_a_mask_of_numbers_is_told_about_booleans():
    def numbers(n_queries, n_keys=None, *, device=None):
        return torch.ones(n_queries, n_keys or n_queries, device=device).tril()

    assert hint_of("causal_mask", numbers) == GENERAL["not boolean"]


def test_other_names_of_parameters_have_the_hint_of_their_property():
    class Renamed(Embeddings):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.tok = self.token
            del self.token

    assert "nn.Embedding" in hint_of("Embeddings", Renamed)


def test_a_buffer_in_place_of_a_parameter_has_a_hint_about_parameters():
    class Buffered(LayerNorm):
        def __init__(self, d_model, **options):
            super().__init__(d_model, **options)
            weight = self.weight.data
            del self.weight
            self.register_buffer("weight", weight)

    assert "nn.Parameter" in hint_of("LayerNorm", Buffered)
    assert issubclass(Buffered, nn.Module)


def test_where_one_bug_is_named_its_thought_stands_in_the_hints_place():
    bug = find_bug("divides_by_the_width")
    message = " ".join(
        run(find("attention"), observe_here(bug.implementation), seed=0).message.split()
    )
    assert message.endswith(f"agrees with: {bug.title} perhaps you thought: {bug.misconception}")
    assert "hint: " not in message


def test_where_two_bugs_are_named_no_thought_is_ascribed(monkeypatch):
    bug = find_bug("divides_by_the_width")
    twin = replace(bug, name="twin", title="its twin")
    monkeypatch.setattr(diagnosis, "bugs_of", lambda component: [bug, twin])
    message = run(find("attention"), observe_here(bug.implementation), seed=0).message
    assert f"{bug.title}; or: its twin" in " ".join(message.split())
    assert "perhaps you thought" not in message
    assert "hint: " in message
