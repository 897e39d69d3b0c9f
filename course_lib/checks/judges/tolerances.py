"""How far a right answer may be from the float64 oracle, and why, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """|got - expected| <= absolute + relative * |expected|."""

    relative: float
    absolute: float


BY_DTYPE = {
    # Sums of a few dozen products in another order differ by some 1e-15; mistakes by 1e-3 and more.
    "float64": Tolerance(relative=1e-9, absolute=1e-10),
    "numpy": Tolerance(relative=1e-9, absolute=1e-10),
    # 24 bits: an epsilon of 1.2e-7, times a few dozen terms, times scores of size ten.
    "float32": Tolerance(relative=2e-4, absolute=2e-5),
    # 11 bits: scores of size 4 carry 2e-3, which the exponential passes on to the weights.
    "float16": Tolerance(relative=2e-2, absolute=1e-2),
    # 8 bits: scores of size 4 carry 1.6e-2, and so do the weights made of them.
    "bfloat16": Tolerance(relative=8e-2, absolute=6e-2),
}

# What lesson 3 promises of a row of weights, summed in float64.
ROW_SUM = {
    "float64": 1e-6,
    "numpy": 1e-6,
    "float32": 1e-6,
    "float16": 2e-3,
    "bfloat16": 1e-2,
}

# A causal function's influence of the future on the past, in float64.
NO_INFLUENCE = 1e-12
