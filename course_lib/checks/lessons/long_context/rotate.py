"""What must hold of `rotate`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import arguments_unchanged, gradients_are, raises, returns, same_device
from ...judges.tolerances import BY_DTYPE, Tolerance
from ...oracles import long_context as long_oracles
from .fixtures import LESSON, named_up_to

ROTATED = ("x", "positions")

rotate = ComponentCheck("rotate", "long_context", LESSON)


def _rotate_case(
    x, positions, *base, dtype="float64", judge=None, large=False, exact=False, **options
):
    """Right within what an angle in float32 gives, or to all digits."""
    expected = long_oracles.rotate(x, positions, *base, **_base_of(options))
    case = rotate.call(x, positions, *base, dtype=dtype, names=ROTATED, **options)
    judge = judge or returns(expected, dtype=dtype, tolerance=_turned(positions, dtype, exact))
    return named_up_to(_alike_turned(dtype, large), case).expect(judge)


def _base_of(options: dict) -> dict:
    return {"base": options["base"]} if "base" in options else {}


def _turned(positions: np.ndarray, dtype: str, exact: bool) -> Tolerance:
    """What a sound angle leaves uncertain: the more, the larger the position."""
    usual = BY_DTYPE[dtype]
    far = 1 + np.abs(positions.astype(np.float64))[:, None]
    return Tolerance(usual.relative, usual.absolute + (3e-15 if exact else 3e-6) * far)


def _alike_turned(dtype: str, large: bool) -> float:
    if dtype == "bfloat16":
        return 1e-1
    return 3e-2 if large or dtype == "float16" else 1e-3


def _positions(draw: Draw, count: int, low: int = -9, high: int = 40) -> np.ndarray:
    """Any positions, in any order, some of them negative; the first is not 0."""
    positions = draw.integers(low, high, count)
    positions[0] = high + 1
    return positions


@rotate.core(
    "the pair (2i, 2i+1) turns by position · base^(-2i/D)",
    hint="neighbours a, b: (a cos − b sin, a sin + b cos); angles are p · base^(−2i/D)",
)
def rotate_values(draw: Draw):
    n_tokens, half, n_heads = draw.sizes(3)
    yield _rotate_case(np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 2.0, 3.0, 4.0]]), np.array([1, 2]))
    for lead in ((), (2,), (2, n_heads), (n_tokens, n_tokens)):
        x = draw.normal(*lead, n_tokens, 2 * half)
        yield _rotate_case(x, np.arange(n_tokens))
    yield _rotate_case(draw.normal(2 * half, 2 * half), np.arange(2 * half))
    x = draw.normal(2, n_tokens, 2 * half, dtype="float32")
    yield _rotate_case(x, np.arange(n_tokens), dtype="float32")


@rotate.core(
    "row t turns by positions[t], whatever it is: later ones, negative ones, in any order",
    hint="take the angles from positions, not from the shape of x",
)
def rotate_by_positions(draw: Draw):
    n_tokens, half, start = draw.sizes(3)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, start + np.arange(n_tokens))
    yield _rotate_case(x, _positions(draw, n_tokens))
    yield _rotate_case(x[:, :1], np.array([start]))
    yield _rotate_case(draw.normal(2, 4, n_tokens, 2 * half), _positions(draw, n_tokens))


@rotate.core("at position 0 nothing turns", hint="the cosine of 0 is 1, and the sine is 0")
def rotate_at_zero(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, np.zeros(n_tokens, dtype=np.int64))


@rotate.core(
    "two channels are one pair, which turns by the position itself",
    hint="the first exponent is 0, and base^0 is 1",
)
def rotate_one_pair(draw: Draw):
    n_tokens, _ = draw.sizes(2)
    yield _rotate_case(draw.normal(3, n_tokens, 2), _positions(draw, n_tokens))


@rotate.core(
    "another base gives other angles, but for the first pair",
    hint="base is an argument; 10000 is its default alone",
)
def rotate_base(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x, positions = draw.normal(2, n_tokens, 2 * half), _positions(draw, n_tokens)
    yield _rotate_case(x, positions, 500.0)
    yield _rotate_case(x, positions, base=17.5)
    yield _rotate_case(x, positions, base=500_000.0)


@rotate.core(
    "gradients reach x",
)
def rotate_gradients(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x, positions = draw.normal(2, n_tokens, 2 * half), np.arange(n_tokens)
    cotangent = draw.normal(*x.shape)
    turned_back = long_oracles.rotate(cotangent, -positions)
    # as close as angles in float32 allow, though x is float64: of exact ones is another rule
    judge = gradients_are({"argument 0": turned_back}, "float32", {"argument 0": "x"})
    yield _rotate_case(x, positions, judge=judge, cotangents=[cotangent])


@rotate.edge(
    "an odd number of channels: ValueError",
    hint="look at x.shape[-1] % 2 before anything else",
)
def rotate_refuses(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for width in (d_head, 1):
        case = rotate.call(draw.normal(2, n_tokens, width), np.arange(n_tokens), names=ROTATED)
        yield case.expect(raises("ValueError", str(width)))


@rotate.edge(
    "positions in the thousands turn as exactly as near ones",
    hint="positions have no end; in bfloat16 an angle of 4000 may be off by more than a turn",
)
def rotate_far(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("float32", "float64"):
        x = draw.normal(2, n_tokens, 2 * half, dtype=dtype)
        far = _positions(draw, n_tokens, 1001, 6001)
        yield _rotate_case(x, far, dtype=dtype, large=True, exact=True)


@rotate.edge(
    "half precision in, half precision out, with angles in float64",
    hint="bfloat16 has no 257: make the angles in float64, and go back to x.dtype at the end",
    fits=("dtype",),
)
def rotate_half(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        x = draw.normal(2, n_tokens, 2 * half, dtype=dtype)
        yield _rotate_case(x, np.arange(n_tokens), dtype=dtype)
        far = 3001 + 2 * np.arange(n_tokens)
        yield _rotate_case(x, far, dtype=dtype, large=True, exact=True)


@rotate.edge(
    "positions of any integer type",
    hint="positions.double() first: int8 ends at 127",
    fits=("raised", "shape"),
)
def rotate_by_narrow_positions(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x = draw.normal(2, n_tokens, 2 * half)
    for kind, low, high in (
        (np.int8, -90, 126),
        (np.int16, -300, 3000),
        (np.int32, -300, 3000),
    ):
        yield _rotate_case(x, _positions(draw, n_tokens, low, high).astype(kind), large=True)


@rotate.edge(
    "x and positions are not changed, and every tensor is made on their device",
    hint="device=x.device for what you make yourself; x[..., 0::2] = … writes into x",
    fits=("device",),
)
def rotate_leaves_inputs(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("float64", "float32", "bfloat16"):
        x, positions = draw.normal(2, n_tokens, 2 * half, dtype=dtype), np.arange(n_tokens)
        yield _rotate_case(x, positions, dtype=dtype, judge=arguments_unchanged(ROTATED))
        yield _rotate_case(x, positions, dtype=dtype, judge=same_device, watch_devices=True)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, np.arange(n_tokens, dtype=np.int32))


@rotate.nothing_to_do
def rotate_at_the_beginning(draw: Draw):
    yield rotate.call(draw.normal(3, 4), np.zeros(3, dtype=np.int64), names=ROTATED)


@rotate.asked(
    "real sizes",
    "positions in the hundred thousands turn as exactly as near ones",
    hint="positions.double(), and frequencies in float64: in float32 such an angle is off",
    fits=("few digits",),
)
def rotate_very_far(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for start in (1, 100_001, 1_000_001):
        for dtype in ("float32", "float64", "bfloat16", "float16"):
            x = draw.normal(2, n_tokens, 2 * half, dtype=dtype)
            positions = _positions(draw, n_tokens, start, start + 5000)
            yield _rotate_case(x, positions, dtype=dtype, exact=True)


@rotate.asked(
    "real sizes",
    "a thousand positions and some more turn as a few do",
    hint="what works in blocks has a rest after the last whole one",
)
def rotate_of_real_size(draw: Draw):
    for n_tokens in (1031, 1025):
        yield _rotate_case(draw.normal(n_tokens, 4), np.arange(n_tokens))
    yield _rotate_case(draw.normal(1031, 2, 4), np.array([5, 3]))
