"""What must hold of `softmax`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, returns
from ...judges.findings import Finding, number
from ...oracles import attention as oracles
from .fixtures import LESSON

softmax = ComponentCheck("softmax", "attention", LESSON, dtype="numpy")


@softmax.core(
    "softmax(x)_i is exp(x_i) over the sum of all exp(x_j) along the axis",
    hint="exponentiate, then divide by the sum along `axis`, kept as an axis of length 1",
    fits=("shape",),
)
def softmax_values(draw: Draw):
    a, b, c = draw.sizes(3)
    for x in (draw.normal(a), 2 * draw.normal(a, b), draw.normal(a, b, c)):
        yield softmax.call(x).expect(returns(oracles.softmax(x, -1), dtype="numpy"))
    x = draw.normal(a, b, c)
    for axis in (0, 1, 2, -2):
        yield softmax.call(x, axis=axis).expect(returns(oracles.softmax(x, axis), dtype="numpy"))
    square = draw.normal(a, a)
    yield softmax.call(square, axis=0).expect(returns(oracles.softmax(square, 0), dtype="numpy"))


@softmax.core(
    "entries as large as 1e4 neither overflow nor give nan",
    hint="subtracting the same number from a whole row changes no weight: which number helps?",
    fits=("not finite",),
)
def softmax_stable(draw: Draw):
    a, b = draw.sizes(2)
    up = draw.normal(a, b) + 1e4
    down = draw.normal(a, b) - 1e4
    rows_apart = draw.normal(a, b) + np.where(np.arange(a) == 1, 1e4, 0.0)[:, None]
    spread = 1e4 * np.sign(draw.normal(a, b)) + draw.normal(a, b)
    both_ways = draw.normal(a, b) + 1e4 * (np.arange(a) % 3 - 1)[:, None]
    for x in (up, down, rows_apart, spread, both_ways):
        yield softmax.call(x).expect(returns(oracles.softmax(x, -1), dtype="numpy"))
        columns = np.ascontiguousarray(x.T)
        yield softmax.call(columns, axis=0).expect(
            returns(oracles.softmax(columns, 0), dtype="numpy")
        )


@softmax.edge(
    "an entry of -inf gets a weight of exactly 0",
    hint="exp(-inf) is 0 already; only -inf minus -inf is nan",
    fits=("not finite",),
)
def softmax_minus_infinity(draw: Draw):
    a, b = draw.sizes(2)
    x = np.where(_hidden(draw, a, b), -np.inf, draw.normal(a, b))
    for entries in (x, x - 1e4):
        judge = also(returns(oracles.softmax(entries, -1), dtype="numpy"), _exact_zeros(x))
        yield softmax.call(entries).expect(judge)
    x = x.T.copy()
    yield softmax.call(x, axis=0).expect(returns(oracles.softmax(x, 0), dtype="numpy"))


def _hidden(draw: Draw, a: int, b: int) -> np.ndarray:
    """True in places, never in a whole row or column: the wrong axis gives numbers too, not nan."""
    n = min(a, b)
    kept = np.arange(a)[:, None] % n == np.arange(b) % n
    hidden = ~draw.mask(a, b) & ~kept
    hidden[0, 1] = True
    return hidden


def _exact_zeros(x):
    def judge(seen):
        weights = seen.outputs[0].array
        if (weights[np.isneginf(x)] == 0).all():
            return None
        worst = np.abs(weights[np.isneginf(x)]).max()
        return Finding("an entry of -inf has a weight", expected="exactly 0", got=number(worst))

    return judge


@softmax.edge(
    "x itself is not changed",
    hint="x -= … writes into the caller's array; x - … does not",
    fits=("changed",),
)
def softmax_leaves_x(draw: Draw):
    a, b = draw.sizes(2)
    x = draw.normal(a, b)
    for entries in (x, np.where(_hidden(draw, a, b), -np.inf, x)):
        yield softmax.call(entries).expect(arguments_unchanged(["x"]))


@softmax.asked(
    "real sizes",
    "fifty thousand entries along the axis are as good as five",
    hint="the sum is over all entries of the axis, those of a last, shorter block too",
)
def softmax_of_real_size(draw: Draw):
    x = 3 * draw.normal(2, 50_257) + 100
    yield softmax.call(x).expect(returns(oracles.softmax(x, -1), dtype="numpy"))


@softmax.nothing_to_do
def softmax_of_one_entry(draw: Draw):
    yield softmax.call(draw.normal(3, 1), names=["x"])


@softmax.asked(
    "real sizes",
    "a thousand rows, or columns, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def softmax_of_many_rows(draw: Draw):
    for shape, axis in (((1031, 3), -1), ((1025, 2), -1), ((3, 1031), 0), ((2, 1025), -1)):
        x = draw.normal(*shape)
        yield softmax.call(x, axis=axis).expect(returns(oracles.softmax(x, axis), dtype="numpy"))
