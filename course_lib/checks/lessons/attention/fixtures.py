"""What the checks of attention share: names of arguments, and properties of two components."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import no_error, returns
from ...judges.findings import Finding, number
from ...judges.tolerances import BY_DTYPE, ROW_SUM, Tolerance
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


def attends(check: ComponentCheck, q, k, v, dtype: str, *, tolerance=None):
    expected = oracles.attention(q, k, v)
    return check.call(q, k, v, names=QKV, dtype=dtype).expect(
        returns(*expected, dtype=dtype, names=RESULT, tolerance=tolerance)
    )


# Of texts whose scores are all on one side of 0. D = 16: its root, and the root of that, are whole,
# so that every score is a whole number in any dtype, whichever way it is scaled.
SIDES = np.array([-1.0, 1.0, 0.0, -1.0, 1.0, 1.0, -1.0])  # of the scores of a query
HEIGHTS = np.array([64.0, 96.0, 64.0, 80.0, 96.0, 64.0, 80.0])  # of the keys
WIDTH = 16
# One key's score is below another's by so much that it has no weight, or they are equal. The sizes
# are those of scores from 6,400 to 9,600 and from 38,400 to 57,600.
SMALL, LARGE = 400.0, 2400.0


def one_sided(draw: Draw, dtype: str, size: float, *lead: int):
    """q, k, v of 7 positions: the scores of a query are all far below 0, or far above, or all 0."""
    q, k = np.zeros((*lead, 7, WIDTH)), np.zeros((*lead, 7, WIDTH))
    q[..., 3], k[..., 3] = size * SIDES, HEIGHTS
    return q, k, draw.normal(*lead, 7, 3, dtype=dtype)


def of_one_side(dtype: str, size: float) -> Tolerance:
    """What a logarithm of a sum, which is as large as the scores, leaves of the weights."""
    digits = {"float64": 1e-15, "numpy": 1e-15, "float32": 3e-7}.get(dtype, 0.0)
    usual = BY_DTYPE[dtype]
    off = digits * 24 * size  # the highest score there is
    return Tolerance(usual.relative + off, usual.absolute + off)


def one_sided_text(draw: Draw, dtype: str, width: int) -> np.ndarray:
    """A text whose channel 0 says on which side a query's scores are, and channel 1 a key's."""
    x = draw.normal(7, width, dtype=dtype)
    x[:, 0], x[:, 1] = SIDES, HEIGHTS
    return x


def one_sided_head(weight: np.ndarray, row: int, channel: int, size: float) -> None:
    """Make a head's queries or keys, the `WIDTH` rows from `row` on, of one channel alone."""
    weight[row : row + WIDTH] = 0.0
    weight[row + 3, channel] = size


def many_keys(draw: Draw, dtype: str):
    """q, k, v of three queries and thousands of keys, with values near 1: so is their average."""
    q, k = draw.normal(3, 64, dtype=dtype), draw.normal(4099, 64, dtype=dtype)
    return q, k, exact_in(1 + 0.1 * draw.normal(4099, 5), dtype)


def many_rows(draw: Draw):
    """q, k, v with queries, then keys, that leave a rest after blocks of 128, 256 and 1,024."""
    for n_queries, n_keys in ((1031, 3), (1025, 2), (3, 1031), (2, 1025)):
        yield draw.normal(n_queries, 3), draw.normal(n_keys, 3), draw.normal(n_keys, 2)
