"""Where inputs lie in memory changes nothing: transposed, sliced, expanded, they are the same."""

from collections.abc import Iterator

import numpy as np

from ...observe.calls import Call
from ...observe.given.layouts import LAYOUTS
from ..check import Case, Property
from ..draw import Draw
from .first_calls import FirstCalls, arrays_of, with_arrays
from .same import call_around, same_in_all

KIND = "layouts"
AS_IT_COMES, *OTHERS, EXPANDED = LAYOUTS

HINTS = {
    "numpy": "as_strided and torch.from_numpy look at memory, and take no array that runs "
    "backwards; x.copy() lies as usual",
    "float64": "view, as_strided and data_ptr look at memory; reshape, flatten and indexing do not",
}
# Who takes no array, and so nothing that could lie in memory in one way or another.
PLAIN = "plain Python: numbers, strings and lists"
SIZES = "it is given sizes alone"
A_MODEL = "it is given a model alone"
NOT_ASKED = {
    **dict.fromkeys(("CharTokenizer", "BPETokenizer", "merge_pair", "train_bpe"), PLAIN),
    **dict.fromkeys(("attention_flops", "attention_bytes", "kv_cache_bytes"), PLAIN),
    "learning_rate": PLAIN,
    **dict.fromkeys(("causal_mask", "sliding_window_mask", "sinusoidal_positions"), SIZES),
    **dict.fromkeys(("init_weights", "n_parameters", "decay_groups"), A_MODEL),
    **dict.fromkeys(
        ("test_attention", "test_causality", "test_layer_norm", "test_cached_generation"),
        "a test makes its inputs itself",
    ),
}


def properties(first_calls: FirstCalls) -> list[Property]:
    """That a component whose calls have arrays gives the same however these lie in memory."""

    def cases(draw: Draw) -> Iterator[Case]:
        for case in first_calls.of(draw):
            if not arrays_of(case.call):
                continue
            yield _laid_out(case, case.call, OTHERS)
            if any(array.ndim > 1 and len(array) > 1 for array in arrays_of(case.call)):
                yield _laid_out(case, with_arrays(case.call, _alike_in_all_rows), [EXPANDED])

    rule = "inputs may lie in memory in any way: transposed, sliced, expanded"
    hint = HINTS.get(first_calls.dtype, HINTS["float64"])
    return [Property(rule, "edge", cases, hint, fits=("raised",), kind=KIND)]


def _alike_in_all_rows(array: np.ndarray) -> np.ndarray:
    return np.broadcast_to(array[:1], array.shape).copy() if array.ndim > 1 else array


def _laid_out(case: Case, of: Call, layouts: list[str]) -> Case:
    layouts = [AS_IT_COMES, *layouts]
    call = call_around(of, probe="layouts", layouts=layouts)
    return Case(call, case.shown, same_in_all(call, [f"with inputs {one}" for one in layouts]))
