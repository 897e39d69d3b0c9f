"""What must hold of `gelu`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import also, arguments_unchanged, gradients_are, raises, returns, same_device
from ...judges.tolerances import Tolerance
from ...oracles import mlp as oracles
from .fixtures import FORMS, LESSON

# Rounded once, a number is half a step off; three times that leaves room for a factor rounded
# before it. Computed in half precision all the way, some are off by hundreds of steps.
ROUNDED = {
    "bfloat16": Tolerance(relative=1.5 * 2**-7, absolute=2e-6),
    "float16": Tolerance(relative=1.5 * 2**-10, absolute=2e-6),
}

gelu = ComponentCheck("gelu", "mlp", LESSON)


def _gelu_case(x, *form: str, dtype="float64", judge=None, tolerance=None, **options):
    """`form` is the argument `approximate` by position; by name it is an option."""
    approximate = form[0] if form else options.get("approximate", "none")
    expected = oracles.gelu(x, approximate)
    case = gelu.call(x, *form, dtype=dtype, names=["x"], **options)
    return case.expect(judge or returns(expected, dtype=dtype, tolerance=tolerance))


def _where_it_bends(draw: Draw, dtype: str = "float64") -> np.ndarray:
    """Numbers from -6 to 6, where the two forms differ from each other and from x and 0."""
    steps = np.linspace(-6, 6, 97)
    return exact_in(steps + 0.05 * draw.normal(97), dtype)


@gelu.core(
    "x times the share of a standard normal distribution below x",
    hint='x * (1 + erf(x / sqrt(2))) / 2, with torch.erf, where approximate is "none"',
)
def gelu_values(draw: Draw):
    yield _gelu_case(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    yield _gelu_case(_where_it_bends(draw))
    n_texts, n_tokens, width = draw.sizes(3)
    for shape in ((n_texts, n_tokens, width), (n_tokens, width), (width, width), (1,), ()):
        yield _gelu_case(np.asarray(2 * draw.normal(*shape)))
    yield _gelu_case(draw.normal(n_tokens, width), "none")
    yield _gelu_case(draw.normal(n_tokens, width), approximate="none")
    yield _gelu_case(_where_it_bends(draw, "float32"), dtype="float32")


@gelu.core(
    'approximate="tanh" gives the curve of GPT-2',
    hint="x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3))) / 2",
)
def gelu_tanh(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    yield _gelu_case(_where_it_bends(draw), approximate="tanh")
    for shape in ((n_texts, n_tokens, width), (width, width), ()):
        yield _gelu_case(np.asarray(2 * draw.normal(*shape)), "tanh")
    yield _gelu_case(_where_it_bends(draw, "float32"), approximate="tanh", dtype="float32")


@gelu.core(
    "gradients reach x, through both factors",
)
def gelu_gradients(draw: Draw):
    shapes = ((2, *draw.sizes(2)), (1,), ())
    for x in (_where_it_bends(draw), *(np.asarray(draw.normal(*shape)) for shape in shapes)):
        for form in FORMS:
            cotangent = draw.normal(*x.shape)
            expected = oracles.gelu_gradients(x, cotangent, form)
            judge = gradients_are(expected, "float64", {"argument 0": "x"})
            yield _gelu_case(x, approximate=form, judge=judge, cotangents=[cotangent])


@gelu.edge(
    "far from 0, x itself or 0: finite, and so are the gradients",
    hint="torch.erf and torch.tanh stand large numbers; an exponential of your own does not",
    fits=("not finite",),
)
def gelu_far_from_zero(draw: Draw):
    x = np.array([30.0, -30.0, 300.0, -300.0, 6e4, -6e4])
    for form in FORMS:
        for dtype in ("float64", "float32"):
            yield _gelu_case(x, approximate=form, dtype=dtype)
        cotangent = draw.normal(len(x))
        expected = oracles.gelu_gradients(x, cotangent, form)
        judge = gradients_are(expected, "float64", {"argument 0": "x"})
        yield _gelu_case(x, approximate=form, judge=judge, cotangents=[cotangent])


@gelu.edge(
    "any other approximate: ValueError",
    hint='neither "none" nor "tanh": raise ValueError(f"… got approximate={approximate!r}")',
)
def gelu_refuses(draw: Draw):
    x = draw.normal(*draw.sizes(2))
    for form in ("sigmoid", "tan", "Tanh", ""):
        judge = raises("ValueError", "approximate", str(form))
        yield gelu.call(x, form, names=["x"]).expect(judge)
        yield gelu.call(x, approximate=form, names=["x"]).expect(judge)


@gelu.edge(
    "half precision in, half precision out, computed in float32 and rounded at the end",
    hint="compute in torch.promote_types(x.dtype, torch.float32), and end with .to(x.dtype)",
    fits=("dtype",),
)
def gelu_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        for form in FORMS:
            x = _where_it_bends(draw, dtype)
            yield _gelu_case(x, approximate=form, dtype=dtype, tolerance=ROUNDED[dtype])
        # The cube of 8192 is more than float16 can hold, and so is the slope of the cube.
        x, cotangent = np.array([8192.0, -8192.0]), np.ones(2)
        for form in FORMS:
            expected = oracles.gelu_gradients(x, cotangent, form)
            judge = also(
                returns(oracles.gelu(x, form), dtype=dtype),
                gradients_are(expected, dtype, {"argument 0": "x"}),
            )
            yield _gelu_case(x, approximate=form, dtype=dtype, judge=judge, cotangents=[cotangent])


@gelu.edge(
    "x is not changed, and every tensor is made on its device",
    hint="x *= … writes into the caller's tensor; x * … does not",
    fits=("changed",),
)
def gelu_leaves_x(draw: Draw):
    for dtype in ("float64", "float32"):
        x = draw.normal(2, *draw.sizes(2), dtype=dtype)
        for form in FORMS:
            unchanged = arguments_unchanged(["x"])
            yield _gelu_case(x, approximate=form, dtype=dtype, judge=unchanged)
            yield _gelu_case(
                x, approximate=form, dtype=dtype, judge=same_device, watch_devices=True
            )


@gelu.asked(
    "real sizes",
    "gradients in half precision are those of the exact curve, rounded",
    hint="compute in torch.promote_types(x.dtype, torch.float32): then its slope is, too",
)
def gelu_half_gradients(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        for form in FORMS:
            x = np.tile(_where_it_bends(draw, dtype), (32, 1))
            cotangent = draw.normal(*x.shape, dtype=dtype)
            expected = oracles.gelu_gradients(x, cotangent, form)
            judge = gradients_are(expected, dtype, {"argument 0": "x"})
            given = {"dtype": dtype, "judge": judge, "cotangents": [cotangent]}
            yield _gelu_case(x, approximate=form, **given)
