"""An earlier call leaves nothing behind, whatever it was called with and however it ended.

Calls of functions and modules have sizes that no other call of the check has: what is kept by size
is made by the earlier call, with other numbers, settings or weights. Each call is judged as in the
component's own properties.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.given.earlier import ALWAYS, OF_MODULES, OF_WEIGHTS, WITH_GRADIENTS
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls
from .same import call_around, same_in_all, what_came_back

KIND = "earlier calls"
MODULES = ("module", "gpt")
GIVEN_A_MODEL = ("influence", "evaluation", "generate", "caching")
WITH_WEIGHTS = (*MODULES, "influence", "evaluation")  # the others change them in their own scripts
BY_SIZE = ("function", *MODULES)  # what could be kept for all calls of a size

A_NUMBER = "a number of numbers: its own properties ask for many, one after the other"
SCRIPTS = "its own properties call it many times, one call after the other"
NOT_ASKED = {
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), A_NUMBER),
    **dict.fromkeys(("learning_rate", "merge_pair", "train_bpe"), SCRIPTS),
    **dict.fromkeys(("CharTokenizer", "BPETokenizer", "KVCache"), SCRIPTS),
    **dict.fromkeys(("cached_attention", "cached_logits"), SCRIPTS),
    **dict.fromkeys(("get_batch", "sample", "train_step"), SCRIPTS),
    **dict.fromkeys(
        ("init_weights", "n_parameters", "decay_groups", "load_gpt2"),
        "it is given a model or its tensors, and another one each time",
    ),
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test calls the implementation, and nobody knows how often",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That a call gives what it gives when nothing was called before."""

    def cases(draw: Draw) -> Iterator[Case]:
        asked = [case for case in first_calls.of(draw) if _can_be_asked(case)]
        if any(case.call["probe"] in BY_SIZE for case in asked):
            asked = filter(_can_be_asked, first_calls.of_other_sizes(draw))
        for case in asked:
            probe = case.call["probe"]
            call = case.call | ({"warm_up": []} if "warm_up" in case.call else {})
            with_gradients = WITH_GRADIENTS if call.get("cotangents") is not None else {}
            yield _after(case, call, [*ALWAYS, *with_gradients])
            if probe not in WITH_WEIGHTS or call.get("cotangents") is not None:
                continue
            yield _after(case, call, list(OF_WEIGHTS))
            if probe in MODULES:
                yield _converted(case, call | {"dtype": "float32"})
            if probe in MODULES and not _drops(call):
                ways = [next(iter(OF_WEIGHTS)), *WITH_GRADIENTS]
                yield _after(case, call | {"training": True}, ways)

    rule = "an earlier call leaves nothing behind, whatever it was and however it ended"
    hint = "keep nothing for the next call: make each table, mask and sum when it is needed"
    fits = ("raised", "shape", "dtype", "few digits", "not finite", "no gradient", "gradient")
    return [Property(rule, "edge", cases, hint, fits, kind=KIND)]


def _can_be_asked(case: Case) -> bool:
    is_fresh = case.call.get("weights", {}) is None  # what it holds is left to chance
    is_certain = case.call.get("seed") is None
    has_a_model = case.call["probe"] in GIVEN_A_MODEL and (
        "model" in case.call or "fn" in case.call
    )
    return (case.call["probe"] in BY_SIZE or has_a_model) and is_certain and not is_fresh


def _drops(call) -> bool:
    named = {**call.get("init_kwargs", {}), **call.get("config", {})}
    return bool(named.get("dropout"))


def _after(case: Case, of, ways: list[str]) -> Case:
    call = call_around(of, probe="earlier calls", ways=ways)
    return Case(call, case.shown, lambda seen: _judge(seen, case, of, ways))


def _converted(case: Case, of) -> Case:
    """In float32, so that what is left of float64 is too wide."""
    ways = list(OF_MODULES)
    call = call_around(of, probe="earlier calls", ways=ways)
    shown = case.shown.replace(", float64", ", float32")
    return Case(call, shown, same_in_all(call, ways, seen_of=what_came_back))


def _condition(of) -> str:
    """In which mode a module is called, and whether gradients are recorded."""
    if of["probe"] not in MODULES:
        return ""
    if of.get("training"):
        return "training, "
    return "evaluation, " if of.get("cotangents") is not None else "evaluation under no_grad, "


def _judge(seen: Seen, case: Case, of, ways: list[str]) -> Finding | None:
    raw = seen.flag("steps")
    if not isinstance(raw, list) or len(raw) != len(ways):
        raise Malformed("steps")
    for way, one in zip(ways, raw, strict=True):
        finding = case.judge(Seen(one, of))
        if finding:
            return replace(finding, within=f"{_condition(of)}{way}")
    return None
