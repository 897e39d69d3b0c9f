"""A result is the caller's, who keeps it, changes it, and calls again."""

from collections.abc import Iterator

import numpy as np

from ...judges.alike import alike
from ...judges.expect import no_error
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.given.careless import BARRED, OVERLAPPING
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls, with_arrays
from .same import call_around

KIND = "results"

RIGHT = {
    BARRED: "torch.no_grad() around the work, and not torch.inference_mode()",
    OVERLAPPING: "a place in memory for each entry",
}
# How what comes back is copied, by the kind of component.
COPIES = {
    "plain": "make a new list in each call; of one that is given or kept, return list(…)",
    "numpy": "return an array that this call has made; .copy() what is an argument or kept",
    "float64": "return what this call has made; clone() what is an argument, a view or kept, "
    "and what expand() has made",
}
A_NUMBER = "it returns a number, which nobody can change"
NOT_ASKED = {
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), A_NUMBER),
    **dict.fromkeys(("learning_rate", "n_parameters", "evaluate", "train_step"), A_NUMBER),
    "init_weights": "it returns nothing",
    "decay_groups": "it returns the model's own parameters, to be changed",
    "KVCache": "its contract promises views",
    "split_heads": "its contract allows a view",
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test returns nothing",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That results can be kept and changed, and another call knows nothing of it."""

    def cases(draw: Draw) -> Iterator[Case]:
        for case in (*first_calls.of(draw), *first_calls.with_nothing_to_do(draw)):
            if case.call["probe"] == "generate" and case.call["args"][1] == 0:
                continue  # a text that nothing is added to may be the prompt itself
            call = call_around(case.call, probe="results", careless=_in_turn(case.call))
            shown = f"{case.shown}, its result changed, called again"
            yield Case(call, shown, lambda seen, call=call: _judge(seen, call))

    rule = "what comes back is the caller's, to keep and to change"
    hint = COPIES.get(first_calls.dtype, COPIES["float64"])
    return [Property(rule, "edge", cases, hint, kind=KIND)]


def _in_turn(of) -> list:
    """The same, something else, and the same again, of one object where there is one."""
    if of["probe"] in ("module", "gpt"):
        texts = [of["args"], with_arrays(of, _other)["args"]]
        return [of | {"warm_up": [*of.get("warm_up", ()), *texts]}]
    if of["probe"] == "plain" and of["script"]:
        return [of | {"script": 2 * of["script"]}]
    return [of, with_arrays(of, _other), of]


def _other(array: np.ndarray) -> np.ndarray:
    """The same numbers in other places, so that they are as valid."""
    return np.roll(array, 1, axis=-1) if array.ndim else array


def _judge(seen: Seen, call) -> Finding | None:
    steps, raw = seen.steps, seen.flag("steps")
    if len(steps) != 1 + len(call["careless"]):
        raise Malformed("results")
    if steps[0].error:
        return None  # other rules say so
    finding = no_error(steps[-1])
    if finding:
        return finding
    if seen.value:
        what = str(seen.value[0])[:80]
        how = "inference mode" if what == BARRED else "value"
        expected = RIGHT.get(what, "a result that nothing else shares")
        return Finding(what, expected=expected, how=how)
    if not alike(_end_of(raw[-1], raw[0]), raw[0], call):
        return Finding(
            "after a result was changed, the same call gives something else",
            expected="the same as the first time",
        )
    return None


def _end_of(last, first):
    """Of a script that was gone through twice, the second time."""
    both = last.get("steps")
    if not isinstance(both, list) or not isinstance(first.get("steps"), list):
        return last
    return last | {"steps": both[len(both) - len(first["steps"]) :]}
