"""What must hold of lesson 0: every dot product, weighted averages, a first module."""

import math

import numpy as np

from ..cases.check import ComponentCheck
from ..cases.draw import Draw, exact_in
from ..cases.module_properties import IN_HALF
from ..judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    parameters_are,
    raises,
    returns,
    same_device,
)
from ..oracles import warmup as oracles

LESSON = "00_warm_up"
XY = ("x", "y")
AVERAGE_CALL = ("weights", "values")

pairwise_dots = ComponentCheck("pairwise_dots", "warmup", LESSON, dtype="numpy")
weighted_average = ComponentCheck("weighted_average", "warmup", LESSON, dtype="numpy")
affine = ComponentCheck("Affine", "warmup", LESSON)


# --- pairwise_dots ---


def _dots(x, y, judge=None):
    judge = judge or returns(oracles.pairwise_dots(x, y), dtype="numpy")
    return pairwise_dots.call(x, y, names=XY).expect(judge)


@pairwise_dots.core(
    "entry [t, s] is the dot product of row t of x with row s of y",
    hint="a row for each row of x, a column for each row of y; multiply and add, no more",
    fits=("shape", "raised"),
)
def pairwise_dots_values(draw: Draw):
    yield _dots(np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 4.0], [5.0, 1.0]]))
    n_x, n_y, width = draw.sizes(3)
    yield _dots(draw.normal(n_x, width), draw.normal(n_y, width))
    yield _dots(draw.normal(n_x, width), draw.normal(n_x, width))
    yield _dots(draw.normal(width, width), draw.normal(width, width))


@pairwise_dots.edge(
    "one row, one column, and numbers large or small are like any others",
    hint="let the shapes alone: no squeeze, and nothing that counts on more than one row",
    fits=("shape", "raised"),
)
def pairwise_dots_small(draw: Draw):
    n_x, n_y, width = draw.sizes(3)
    yield _dots(draw.normal(1, width), draw.normal(n_y, width))
    yield _dots(draw.normal(n_x, width), draw.normal(1, width))
    yield _dots(draw.normal(n_x, 1), draw.normal(n_y, 1))
    yield _dots(draw.normal(1, 1), draw.normal(1, 1))
    yield _dots(1e6 * draw.normal(n_x, width), draw.normal(n_y, width))
    yield _dots(np.zeros((n_x, width)), draw.normal(n_y, width))


@pairwise_dots.edge(
    "x and y are not changed",
    hint="x *= … and x[…] = … write into the caller's array",
    fits=("changed",),
)
def pairwise_dots_leaves_inputs(draw: Draw):
    n_x, n_y, width = draw.sizes(3)
    yield _dots(draw.normal(n_x, width), draw.normal(n_y, width), arguments_unchanged(XY))


# --- weighted_average ---


def _average(weights, values, judge=None):
    judge = judge or returns(oracles.weighted_average(weights, values), dtype="numpy")
    return weighted_average.call(weights, values, names=AVERAGE_CALL).expect(judge)


def _weights(draw: Draw, *shape: int) -> np.ndarray:
    """Positive weights whose rows sum to anything but 1."""
    return np.abs(draw.normal(*shape)) + 0.25


@weighted_average.core(
    "row t is the average of the values, each counted by its share of row t of the weights",
    hint="with weights 1 and 3 the second value counts three times as much: a quarter and three "
    "quarters",
    fits=("shape",),
)
def weighted_average_values(draw: Draw):
    yield _average(np.array([[1.0, 3.0]]), np.array([[0.0, 8.0], [4.0, 0.0]]))
    n_rows, n_values, width = draw.sizes(3)
    values = draw.normal(n_values, width)
    weights = _weights(draw, n_rows, n_values)
    yield _average(weights, values)
    yield _average(weights / weights.sum(axis=1, keepdims=True), values)
    yield _average(_weights(draw, width, width), draw.normal(width, width))
    yield _average(_weights(draw, n_rows, n_values), draw.normal(n_values, 1))


@weighted_average.nothing_to_do
def average_of_one_value(draw: Draw):
    yield weighted_average.call(np.ones((1, 1)), draw.normal(1, 5), names=AVERAGE_CALL)


@weighted_average.edge(
    "only the shares count: tiny, huge and negative weights have an average too",
    hint="the plain sum of the row, no small number added, no absolute values; only 0 is 0",
    fits=("not finite", "refused", "raised"),
)
def weighted_average_scales(draw: Draw):
    n_rows, n_values, width = draw.sizes(3)
    values = draw.normal(n_values, width)
    weights = _weights(draw, n_rows, n_values)
    yield _average(1e-7 * weights, values)
    yield _average(1e7 * weights, values)
    yield _average(-weights, values)
    mixed = weights.copy()
    mixed[:, 0] = -0.125
    yield _average(mixed, values)
    sparse = np.where(draw.mask(n_rows, n_values), weights, 0.0)
    yield _average(sparse, values)
    for size in (1e-12, 1e-150, 1e150):
        yield _average(size * weights, values)
    apart = 10.0 ** (30 * (np.arange(n_rows) % 5 - 2))  # rows of very different sizes
    yield _average(apart[:, None] * weights, values)
    # Sums of 2⁻³⁰ and of -2⁻⁴⁰ are small beside their weights, and not 0. All of it is exact.
    nearly = np.array([[1.0, 2.0**-30 - 1, 0.0], [0.5, -(2.0**-40), -0.5]])
    yield _average(nearly, draw.integers(-9, 9, (3, width)).astype(float))


@weighted_average.edge(
    "a row of weights that sums to 0: ValueError",
    hint="look for such rows before you divide; the first row is row 0",
)
def weighted_average_refuses(draw: Draw):
    n_values, width = draw.sizes(2)
    values = draw.normal(n_values, width)
    for scale, n_rows in ((0.0, 41), (1.0, 41), (1.0, 1)):
        row = int(draw.integers(17, n_rows - 3)) if n_rows > 1 else 0
        weights = _weights(draw, n_rows, n_values)
        weights[row] = 0.0
        weights[row, :2] = [scale, -scale]
        yield _average(weights, values, raises("ValueError", "weights", str(row)))


@weighted_average.edge(
    "weights and values are not changed",
    hint="weights /= … and weights[…] = … write into the caller's array",
    fits=("changed",),
)
def weighted_average_leaves_inputs(draw: Draw):
    n_rows, n_values, width = draw.sizes(3)
    weights, values = _weights(draw, n_rows, n_values), draw.normal(n_values, width)
    yield _average(weights, values, arguments_unchanged(AVERAGE_CALL))


# --- Affine ---


def _affine_case(draw: Draw, lead=(), *, dtype="float64", sizes=None, judge=None, **options):
    d_in, d_out = sizes or draw.sizes(2)
    weights = {
        "weight": exact_in(draw.normal(d_out, d_in) / math.sqrt(d_in), dtype),
        "bias": draw.normal(d_out, dtype=dtype),
    }
    x = draw.normal(*lead, d_in, dtype=dtype)
    judge = judge or returns(oracles.affine(x, weights), dtype=dtype)
    shapes = parameters_are({name: array.shape for name, array in weights.items()})
    return affine.build(d_in, d_out, x=x, weights=weights, dtype=dtype, **options).expect(
        also(shapes, judge)
    )


@affine.core(
    "the parameters are .weight (d_out, d_in) and .bias (d_out,)",
    hint="self.weight = nn.Parameter(torch.randn(d_out, d_in)), and self.bias likewise",
    fits=("names", "not learned", "raised"),
)
def affine_parameters(draw: Draw):
    yield _affine_case(draw, judge=lambda seen: None)


@affine.core(
    "forward(x) is x times the weight, transposed, plus the bias",
    hint="x has d_in numbers in its last axis, as each row of the weight; the bias comes last",
)
def affine_values(draw: Draw):
    rows, lead, width = draw.sizes(3)
    yield _affine_case(draw, (rows,))
    yield _affine_case(draw, (rows,), sizes=(width, width))
    yield _affine_case(draw, (width,), sizes=(width, width))
    yield _affine_case(draw, (lead, rows))
    yield _affine_case(draw, (rows,), training=True)
    yield _affine_case(draw, (rows,), dtype="float32")


@affine.core(
    "any number of leading axes, none included",
    hint="@ and + broadcast by themselves",
    fits=("shape", "raised"),
)
def affine_leading_axes(draw: Draw):
    rows, lead = draw.sizes(2)
    for shape in ((), (2, lead, rows), (1,), (rows, rows)):
        yield _affine_case(draw, shape)


@affine.core(
    "gradients reach x, weight and bias",
)
def affine_gradients(draw: Draw):
    rows, d_in, d_out = draw.sizes(3)
    for lead in ((2, rows), (), (1,), (2, 3, rows)):
        x, cotangent = draw.normal(*lead, d_in), draw.normal(*lead, d_out)
        weights = {"weight": draw.normal(d_out, d_in), "bias": draw.normal(d_out)}
        expected = oracles.affine_gradients(x, weights, cotangent)
        yield affine.build(d_in, d_out, x=x, weights=weights, cotangents=[cotangent]).expect(
            gradients_are(expected, "float64", {"argument 0": "x"})
        )


@affine.edge(
    "half precision in, half precision out, and close to the exact result",
    hint=IN_HALF,
)
def affine_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield _affine_case(draw, (2, 5), dtype=dtype)


@affine.edge(
    "x is not changed, and every tensor is made on its device",
    hint="device=x.device",
    fits=("device",),
)
def affine_leaves_x(draw: Draw):
    yield _affine_case(draw, (2, 5), judge=arguments_unchanged(["x"]))
    d_model = draw.sizes(1)[0]
    yield _affine_case(draw, (2, 5), sizes=(d_model, d_model), judge=arguments_unchanged(["x"]))
    yield _affine_case(draw, (2, 5), judge=same_device, watch_devices=True)


@pairwise_dots.asked(
    "real sizes",
    "a thousand rows and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def pairwise_dots_of_real_size(draw: Draw):
    for n_x, n_y in ((1031, 2), (3, 1025)):
        yield _dots(draw.normal(n_x, 2), draw.normal(n_y, 2))


@weighted_average.asked(
    "real sizes",
    "a thousand rows, or values, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def weighted_average_of_real_size(draw: Draw):
    for n_rows, n_values in ((1031, 2), (2, 1025)):
        yield _average(_weights(draw, n_rows, n_values), draw.normal(n_values, 2))


@affine.asked(
    "real sizes",
    "a thousand vectors and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def affine_of_many_rows(draw: Draw):
    for n_rows in (1031, 1025):
        yield _affine_case(draw, (n_rows,), sizes=(3, 2))


@affine.asked(
    "real sizes",
    "sums of four thousand products are right in half precision and in float32",
    hint="one product of matrices: torch adds up in more digits than it returns",
)
def affine_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _affine_case(draw, (2, 3), sizes=(4099, 5), dtype=dtype)
