"""What the checks of the norms share."""

import numpy as np

from ...cases.draw import Draw, exact_in
from ...judges.tolerances import Tolerance
from ...oracles import norm as oracles

LESSON = "05_residual_and_layernorm"
NORM_CALL = ("x", "weight", "bias")

# A mistake with eps does less than this to usual inputs: it has a property of its own.
EPS_ASIDE = Tolerance(relative=1e-3, absolute=1e-3)


def scale_and_shift(draw: Draw, width: int, dtype: str = "float64"):
    """A weight and a bias that no channel shares with another."""
    return exact_in(1 + 0.5 * draw.normal(width), dtype), draw.normal(width, dtype=dtype)


def nearly_constant(draw: Draw, width: int, dtype: str = "float64"):
    """Vectors whose variance is near the default eps; one is all zeros, one as large as usual."""
    x = exact_in(3e-3 * draw.normal(5, width), dtype)
    x[1] = 0.0
    x[3] = draw.normal(width, dtype=dtype)
    return x


def far_from_zero(draw: Draw, width: int, dtype: str):
    """Vectors that `dtype` holds exactly, and their mean it does not: it lies between two numbers.

    From 256 (bfloat16) and from 2048 (float16) on, neighbours are 2 apart. The mean of each vector
    is almost half way between two of them.
    """
    start, steps = (256, 3) if dtype == "bfloat16" else (2048, 15)
    counts = draw.integers(0, steps, (6, width))
    counts[:, 0], counts[:, -1] = 0, steps
    missing = ((width - 1) // 2 - counts.sum(axis=1)) % width
    counts += np.arange(width) < missing[:, None]
    return start + 2.0 * counts


def activations(draw: Draw, width: int) -> np.ndarray:
    """Vectors as deep models have them, in float32: their mean is thousands of times the spread.

    Their squares have no digit left for the variance.
    """
    return exact_in(draw.normal(3, width) + np.array([[2000.0], [-5000.0], [0.0]]), "float32")


def nearly_cancelled(draw: Draw, dtype: str):
    """Two vectors, a weight, and a bias that takes almost all of the first vector away again.

    What is left of a number near 1000 is smaller than what one more rounding would change.
    """
    x = draw.normal(2, 9, dtype=dtype)
    weight = 1000 * np.sign(draw.normal(9))
    bias = -oracles.layer_norm(x, weight, None)[0]
    return x, weight, exact_in(bias, dtype)


# Of numbers near 5000 float32 holds three digits behind the point.
FAR_IN_FLOAT32 = Tolerance(relative=1e-2, absolute=1e-2)
