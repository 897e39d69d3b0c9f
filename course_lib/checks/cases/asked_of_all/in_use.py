"""Modules and models as people have them: frozen, subclassed, copied, converted, with shared parts.

What this changes in a result (a step with frozen parameters, one block twice) the lessons draw
themselves, as properties of this kind.
"""

from collections.abc import Iterator

from ...observe.given.in_use import AS_IT_IS, MODULES
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls
from .same import call_around, same_in_all, what_came_back

KIND = "in use"

# The ways to have a model that change nothing, for those that are given one.
OF_A_MODEL = {
    "steps": ["a subclass"],
    "groups": ["a subclass"],
    "evaluation": ["a subclass", "frozen", "half frozen"],
    "generate": ["a subclass", "frozen", "half frozen"],
    "caching": ["a subclass", "frozen", "half frozen"],
}

ALONE = "a function of tensors or numbers: it is no module, and is given none"
NOT_ASKED = {
    **dict.fromkeys(("pairwise_dots", "weighted_average", "softmax", "attention_numpy"), ALONE),
    **dict.fromkeys(("attention", "causal_mask", "padding_mask", "masked_softmax"), ALONE),
    **dict.fromkeys(("masked_attention", "split_heads", "merge_heads", "layer_norm"), ALONE),
    **dict.fromkeys(("gelu", "next_token_loss", "get_batch", "learning_rate"), ALONE),
    **dict.fromkeys(("keep_top_k", "keep_top_p", "sample", "cached_attention"), ALONE),
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), ALONE),
    **dict.fromkeys(("sinusoidal_positions", "rotate", "sliding_window_mask"), ALONE),
    **dict.fromkeys(("blockwise_attention", "merge_pair", "train_bpe"), ALONE),
    **dict.fromkeys(("CharTokenizer", "BPETokenizer"), "a tokenizer is no module"),
    "KVCache": "a cache is no module, and has no parameters",
    **dict.fromkeys(("pre_norm", "post_norm"), "what they are given may be any function"),
    "future_influence": "that parameters stay as they are is asked there",
    "load_gpt2": "it makes the model itself",
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test is given an implementation that it cannot look into",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That a module, or whoever is given a model, takes it as people have it."""

    def cases(draw: Draw) -> Iterator[Case]:
        for case in first_calls.of(draw):
            is_module = case.call["probe"] in ("module", "gpt") and case.call["weights"] is not None
            others = list(MODULES)[1:] if is_module else OF_A_MODEL.get(case.call["probe"], [])
            if others and (is_module or "model" in case.call):
                yield _had(case, [AS_IT_IS, *others])

    rule = "a module is as good frozen, subclassed, copied, or converted from another dtype"
    hint = "look at self.weight when you need it; keep nothing made of it, and ask for no class"
    return [Property(rule, "edge", cases, hint, kind=KIND)]


def _had(case: Case, ways: list[str]) -> Case:
    call = call_around(case.call, probe="in use", ways=ways)
    of_a_model = "" if case.call["probe"] in ("module", "gpt") else "with a model that is "
    said = [of_a_model + way for way in ways]
    return Case(call, case.shown, same_in_all(call, said, seen_of=what_came_back))
