"""Sizes as real models have them, in the dtypes they run in: a few calls of each component.

What is large, and where a mistake shows, differs from one component to another. So the lessons
draw these calls, as properties of this kind, and expect what theirs expect.
"""

from ..check import Property
from .first_calls import FirstCalls

KIND = "real sizes"

MOVES = "it moves numbers and computes none"
ALREADY = "its own properties have positions and numbers as large as they come"
NOT_ASKED = {
    **dict.fromkeys(("split_heads", "merge_heads", "load_gpt2", "decay_groups"), MOVES),
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), ALREADY),
    "sinusoidal_positions": ALREADY,
    "n_parameters": "a count of shapes: the numbers themselves are not looked at",
    "future_influence": "a Jacobian has the fourth power of entries",
    **dict.fromkeys(("pre_norm", "post_norm"), "what they are given does all the computing"),
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test chooses its sizes itself",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """None that could be made from other calls."""
    return []
