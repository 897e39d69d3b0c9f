"""Gradients reach whoever asks for one, whatever else is frozen or a plain tensor.

A backward of one's own, and a short cut for inputs that need none, go wrong here: where all ask,
as in a component's own properties, nobody sees it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from ...judges.expect import gradients_are, no_error
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.given import fixtures
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls
from .same import call_around

KIND = "some gradients"

NO_TENSORS = "there are no tensors that could ask"
ONE = "there is one tensor that can ask, and it does so in its own properties"
INFERENCE = "it is for inference, or counts: no gradient flows through it"
NOT_ASKED = {
    **dict.fromkeys(
        ("pairwise_dots", "weighted_average", "softmax", "attention_numpy"), NO_TENSORS
    ),
    **dict.fromkeys(("CharTokenizer", "BPETokenizer", "merge_pair", "train_bpe"), NO_TENSORS),
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), NO_TENSORS),
    **dict.fromkeys(("causal_mask", "padding_mask", "sliding_window_mask"), NO_TENSORS),
    **dict.fromkeys(("sinusoidal_positions", "learning_rate", "get_batch"), NO_TENSORS),
    **dict.fromkeys(("masked_softmax", "split_heads", "merge_heads", "gelu", "rotate"), ONE),
    **dict.fromkeys(("next_token_loss", "keep_top_k", "keep_top_p"), ONE),
    **dict.fromkeys(("sample", "generate", "generate_cached", "KVCache"), INFERENCE),
    **dict.fromkeys(("cached_attention", "cached_logits", "evaluate"), INFERENCE),
    **dict.fromkeys(("n_parameters", "init_weights", "load_gpt2", "decay_groups"), INFERENCE),
    "future_influence": "its result is detached",
    "train_step": "its own properties give it models with frozen parameters",
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "what is asked for gradients is the implementation",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That a gradient is the same, whoever else asks for one."""

    def cases(draw: Draw) -> Iterator[Case]:
        for case in first_calls.of(draw):
            if case.call.get("cotangents") is None or case.call["probe"] == "influence":
                continue
            everyone = _who_can_ask(case.call)
            some = [names for names in _some_of(everyone, case.call) if names]
            some = [names for names in some if len(names) < len(everyone)]
            if some:
                yield _asked_by(case, everyone, some)

    rule = "gradients reach whatever asks for them, also where all else is frozen or plain"
    hint = "see to each gradient by itself: x may be plain, or a weight frozen, where others learn"
    fits = ("raised", "no gradient", "gradient", "not finite", "shape")
    return [Property(rule, "edge", cases, hint, fits, kind=KIND)]


def _who_can_ask(call) -> list[str]:
    names = list(call.get("weights", ()))
    for n, arg in enumerate(call["args"]):
        if isinstance(arg, np.ndarray) and arg.dtype.kind == "f":
            names.append(f"argument {n}")
        elif isinstance(arg, dict) and "fixture" in arg:
            made = fixtures.build(arg, torch.float64)
            names += [f"argument {n}.{name}" for name, _ in made.named_parameters()]
    return names


def _some_of(everyone: Sequence[str], call) -> Iterator[list[str]]:
    """Inputs without parameters, and without inputs: all, the biases alone, matrices, every second.

    Of a function each argument alone, and all but each.
    """
    arrays = call.get("weights", {})
    parameters = [name for name in everyone if "argument" not in name or "." in name]
    inputs = [name for name in everyone if name not in parameters]
    yield inputs
    yield parameters
    yield [name for name in arrays if arrays[name].ndim < 2]
    yield [name for name in arrays if arrays[name].ndim > 1]
    yield [*parameters[::2], *inputs]
    yield parameters[1::2]
    if len(everyone) < 6:
        for name in everyone:
            yield [name]
            yield [other for other in everyone if other != name]


def _asked_by(case: Case, everyone: list[str], some: list[list[str]]) -> Case:
    asking = [everyone, *some]
    asking = [names for n, names in enumerate(asking) if names not in asking[:n]]
    call = call_around(case.call, probe="some gradients", asking=asking)
    labels = {name: _label(name, case.names) for name in everyone}
    return Case(call, case.shown, lambda seen: _judge(seen, case.call, asking, labels))


def _label(name: str, names: Sequence[str]) -> str:
    """What a learner calls it: x, or sublayer.mix."""
    for n, own in enumerate(names):
        if name.partition(".")[0] == f"argument {n}":
            return name.replace(f"argument {n}", own, 1)
    return name


def _judge(seen: Seen, of, asking: list[list[str]], labels: dict) -> Finding | None:
    """Each gradient is as where all ask. What is wrong there is for other rules to say."""
    raw = seen.flag("steps")
    if not isinstance(raw, list) or len(raw) != len(asking):
        raise Malformed("steps")
    steps = [Seen(one, of) for one in raw]
    if no_error(steps[0]):
        return None
    expected = steps[0].gradients
    for names, step in zip(asking[1:], steps[1:], strict=True):
        wanted = {name: expected[name] for name in names if expected.get(name) is not None}
        finding = gradients_are(wanted, of["dtype"], labels)(step)
        if finding:
            return replace(finding, within=f"where {_in_words(names, labels)}")
    return None


def _in_words(names: list[str], labels: dict) -> str:
    """Who asks, in a few words."""
    if len(names) <= 3:
        return f"only {' and '.join(labels[name] for name in names)} can learn"
    is_input = [name.startswith("argument") and "." not in name for name in names]
    if not any(is_input):
        return "the inputs are plain tensors"
    return "only inputs ask for gradients" if all(is_input) else "some parameters are frozen"
