"""What the checks of masking share: names of arguments, and two judges' helpers."""

import numpy as np

from ...judges.findings import Finding, number

LESSON = "03_causal_masking"
MASKED_CALL = ("scores", "mask")
ATTENTION_CALL = ("q", "k", "v", "mask")


def lower(n_queries: int, n_keys: int) -> np.ndarray:
    """NumPy's lower triangle, shifted so that the last query sees the last key."""
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


def zero_where_masked(mask, part: int):
    """Judge: not small, but 0: what is masked out can then have no effect at all."""

    def judge(seen):
        weights = seen.outputs[part].array
        leak = np.where(mask, 0.0, weights)
        if not leak.any():
            return None
        place = np.unravel_index(np.abs(leak).argmax(), leak.shape)
        return Finding(
            f"a masked key has a weight at {[int(i) for i in place]}",
            expected="exactly 0",
            got=number(leak[place]),
        )

    return judge
