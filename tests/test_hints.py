"""Rule and hint follow from how a property failed: its own for a value, general ones otherwise."""

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
from course_lib.transformer.generation import generate
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.tokens import Embeddings, train_bpe


def hint_of(component, implementation) -> str:
    """The hint of a verdict's message, on one line; empty where it has none."""
    message = run(find(component), observe_here(implementation), seed=0).message
    assert message
    _, _, hint = " ".join(message.split()).partition("hint: ")
    return hint


def failure_of(component, implementation):
    return run(find(component), observe_here(implementation), seed=0).failure


def rule_of(component, implementation) -> str:
    return failure_of(component, implementation).rule


def message_of(component, implementation) -> str:
    verdict = run(find(component), observe_here(implementation), seed=0)
    return " ".join(verdict.message.split())


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


def test_a_failure_breaks_the_rule_that_its_message_tells():
    """Of a type, a shape or a dtype the signature and the dtype's rule are told, not a value's."""
    for how, words in (
        ("type", "the signature says what comes back: tuple[Float[Tensor"),
        ("shape", "the signature says what comes back: tuple[Float[Tensor"),
        ("nothing", "the signature says what comes back: tuple[Float[Tensor"),
        ("dtype", "what comes back has the dtype of the inputs"),
        ("raised", "a call that the docstring allows raises no error"),
        ("not finite", "finite numbers give finite results"),
    ):
        assert rule_of("attention", HOW[how]).startswith(words), how


def test_what_a_condition_breaks_is_told_with_the_condition():
    """What others before it did not do goes wrong because of what the property is about."""

    def refuses_thousands(q, k, v):
        if q.abs().max() > 50:
            raise ValueError("too large")
        return attention(q, k, v)

    verdict = run(find("attention"), observe_here(refuses_thousands), seed=0)
    assert verdict.failure.finding.how == "refused"
    assert verdict.failure.rule in {prop.rule for prop in find("attention").properties}


def test_logits_of_another_dtype_than_the_weights_are_told_so():
    bug = find_bug("GPTThatReturnsFloat32")
    assert rule_of("GPT", bug.implementation) == "what comes back has the dtype of the weights"


def test_names_of_a_state_are_told_as_missing_and_surplus():
    told = message_of("Affine", find_bug("WrapsALinearLayer").implementation)
    assert "missing: weight (9, 11), bias (9,) surplus: linear.weight (9, 11)" in told
    told = message_of("MLP", find_bug("KeepsTheBiasOfDown").implementation)
    assert "surplus: down.bias (13,)" in told
    assert "missing" not in told


def test_a_saved_buffer_is_told_as_what_is_saved():
    class Saves(LayerNorm):
        def __init__(self, d_model, **options):
            super().__init__(d_model, **options)
            self.register_buffer("ones", torch.ones(3))

    assert "surplus: ones (3,)" in message_of("LayerNorm", Saves)
    assert hint_of("LayerNorm", Saves) == GENERAL["saved"]
    assert rule_of("LayerNorm", Saves).startswith("state_dict() holds the parameters")


def test_a_parameter_with_two_names_is_told_as_one_tensor():
    told = message_of("Block", find_bug("SharesOneNorm").implementation)
    assert "norm2.bias is the same tensor as norm1.bias" in told
    assert "is not a parameter" not in told


def test_a_raise_of_the_answers_own_is_told_from_an_error_that_befell_it():
    def refuses(q, k, v):
        raise ValueError("no")

    def asserts(q, k, v):
        assert q is None, "no"

    def fails(q, k, v):
        return q[:, :, :, :, :, 7]

    assert hint_of("attention", refuses) == hint_of("attention", asserts) == GENERAL["refused"]
    assert hint_of("attention", fails) == GENERAL["raised"]


def test_writing_in_place_is_told_by_what_torch_says_was_wrong_with_it():
    def into_x(x, norm, sublayer):
        return norm(x.add_(sublayer(x)))

    def into_what_came(x, norm, sublayer):
        y = sublayer(x)
        y += x
        return norm(y)

    assert failure_of("post_norm", into_x).finding.how == "written while recorded"
    assert failure_of("post_norm", into_what_came).finding.how == "written over"


@pytest.mark.parametrize(
    ("component", "says", "never"),
    [
        ("merge_pair", "list(…)", "clone()"),
        ("weighted_average", ".copy()", "clone()"),
        ("layer_norm", "clone()", "list(…)"),
    ],
)
def test_a_copy_is_advised_in_the_words_of_what_comes_back(component, says, never):
    (prop,) = (prop for prop in find(component).properties if prop.kind == "results")
    assert says in prop.hint
    assert never not in prop.hint


def test_a_tuple_in_the_place_of_one_tensor_is_told_by_its_kind():
    told = message_of("gelu", lambda x, approximate="none": (x, x))
    assert "expected: one tensor" in told
    told = message_of("softmax", lambda x, axis=-1: (x, x))
    assert "expected: one NumPy array" in told


def test_a_list_in_the_place_of_a_pair_is_told_as_a_wrong_type():
    def lists(ids, n_merges, first_new_id=256):
        return [list(pair) for pair in train_bpe(ids, n_merges, first_new_id)]

    finding = failure_of("train_bpe", lists).finding
    assert finding.how == "type"
    assert (finding.expected, finding.got) == ("a tuple: (1, 2)", "a list: [1, 2]")


def test_a_result_of_inference_mode_is_given_no_advice_about_copies():
    def infers(model, ids, n_new, **sampling):
        with torch.inference_mode():
            return generate(model, ids, n_new, **sampling).clone()

    failure = failure_of("generate", infers)
    assert "inference_mode" in failure.finding.expected
    assert not failure.look_at
