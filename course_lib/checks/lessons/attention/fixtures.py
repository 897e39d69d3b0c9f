"""What the checks of attention share: names of arguments, and properties of two components."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import no_error, returns
from ...judges.findings import Finding, number
from ...judges.tolerances import ROW_SUM
from ...oracles import attention as oracles

LESSON = "02_self_attention"
QKV = ("q", "k", "v")
RESULT = ("output", "weights")


def rows_sum_to_one(dtype: str, *, part: int, axis: int = -1, over: str = "the keys"):
    """Judge: the weights add up to 1 along `axis`; says so when the other axis does instead."""

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        weights = seen.outputs[part].array
        sums = weights.sum(axis=axis)
        wrong = ~(np.abs(sums - 1) <= ROW_SUM[dtype])
        if not wrong.any():
            return None
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        details = ()
        if weights.ndim > 1 and np.allclose(weights.sum(axis=-2), 1) and axis == -1:
            details = ("your columns sum to 1: the softmax ran over the queries (axis -2)",)
        return Finding(
            f"the weights at {list(place)} do not sum to 1 over {over}",
            expected="1",
            got=number(sums[place]),
            details=details,
        )

    return judge


def qkv(draw: Draw, *lead: int, dtype: str = "float64", scale: float = 1.0):
    """q, k, v with pairwise different odd T, S, D, E after the leading axes."""
    n_queries, n_keys, d_head, d_value = draw.sizes(4)
    q = exact_in(scale * draw.normal(*lead, n_queries, d_head), dtype)
    k = draw.normal(*lead, n_keys, d_head, dtype=dtype)
    return q, k, draw.normal(*lead, n_keys, d_value, dtype=dtype)


def attends(check: ComponentCheck, q, k, v, dtype: str):
    expected = oracles.attention(q, k, v)
    return check.call(q, k, v, names=QKV, dtype=dtype).expect(
        returns(*expected, dtype=dtype, names=RESULT)
    )


def many_keys(draw: Draw, dtype: str):
    """q, k, v of three queries and thousands of keys, with values near 1: so is their average."""
    q, k = draw.normal(3, 64, dtype=dtype), draw.normal(4099, 64, dtype=dtype)
    return q, k, exact_in(1 + 0.1 * draw.normal(4099, 5), dtype)
