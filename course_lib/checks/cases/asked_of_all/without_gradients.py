"""Who asks for no gradients gets the same, and keeps what was given.

A short cut that saves memory where nobody will want a gradient writes into what it takes for its
own: where all ask, as in a component's own properties, nobody sees it.
"""

from collections.abc import Iterator

from ...observe.given.without_gradients import GRADIENTS
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls
from .same import call_around, same_in_all, what_came_back

KIND = "without gradients"
ASKED = ("function", "module", "gpt")

ARRAYS = "it computes with NumPy, which knows no gradients"
NO_TENSORS = "plain Python: numbers, strings and lists"
INFERENCE = "it switches gradients off itself, or its own properties do"
A_MODEL = "it is given a model alone, and its own properties look at what it leaves"
NOT_ASKED = {
    **dict.fromkeys(("pairwise_dots", "weighted_average", "softmax", "attention_numpy"), ARRAYS),
    **dict.fromkeys(("CharTokenizer", "BPETokenizer", "merge_pair", "train_bpe"), NO_TENSORS),
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), NO_TENSORS),
    **dict.fromkeys(("learning_rate", "get_batch", "sample"), NO_TENSORS),
    **dict.fromkeys(("generate", "generate_cached", "evaluate", "KVCache"), INFERENCE),
    **dict.fromkeys(("cached_attention", "cached_logits"), INFERENCE),
    **dict.fromkeys(("init_weights", "n_parameters", "decay_groups", "load_gpt2"), A_MODEL),
    "train_step": "it takes gradients",
    "future_influence": "it takes gradients",
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test makes its inputs itself",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That a call under no_grad, or in inference mode, gives what it gives with gradients on."""

    def cases(draw: Draw) -> Iterator[Case]:
        for case in first_calls.of(draw):
            if _can_be_asked(case.call):
                of = {key: value for key, value in case.call.items() if key != "cotangents"}
                ways = list(GRADIENTS)
                call = call_around(of, probe="without gradients", ways=ways)
                yield Case(call, case.shown, same_in_all(call, ways, seen_of=what_came_back))

    rule = "under no_grad and in inference mode the result is the same, and inputs stay as they are"
    hint = "x.to(dtype) and x.reshape(…) may be x itself: x.mul_(…) and out=x then write into it"
    return [Property(rule, "edge", cases, hint, kind=KIND)]


def _can_be_asked(call) -> bool:
    is_fresh = call.get("weights", {}) is None  # what it holds is left to chance
    return call["probe"] in ASKED and call["dtype"] not in ("numpy", "plain") and not is_fresh
