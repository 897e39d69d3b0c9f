"""What must hold of `sinusoidal_positions`."""

import numpy as np

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import returns
from ...judges.tolerances import Tolerance
from ...oracles import long_context as long_oracles
from .fixtures import LESSON, named_up_to

IN_FLOAT32 = Tolerance(0.0, 1e-6)  # of numbers up to 1: an epsilon of 1.2e-7, and room for a few

sinusoidal_positions = ComponentCheck("sinusoidal_positions", "long_context", LESSON)


def _waves_case(
    n_positions: int, d_model: int, *, by_name: bool = False, exact: bool = False
) -> Case:
    """Right within what a sound angle in float32 gives, or to the digits of float32."""
    given = {"n_positions": n_positions, "d_model": d_model}
    case = (
        sinusoidal_positions.call(dtype="float32", **given)
        if by_name
        else sinusoidal_positions.call(*given.values(), dtype="float32")
    )
    expected = long_oracles.waves(n_positions, d_model)
    rough = Tolerance(0.0, 1e-5 + 1e-6 * np.arange(n_positions)[:, None])
    return named_up_to(2e-3 if n_positions < 1000 else 2e-2, case).expect(
        returns(expected, dtype="float32", tolerance=IN_FLOAT32 if exact else rough)
    )


@sinusoidal_positions.core(
    "channel 2i holds sin(p / 10000^(2i/C)), and channel 2i + 1 the cosine of the same",
    hint="the angle of pair i is p / 10000^(2i/C), p from 0; stack sine and cosine, then flatten",
)
def sinusoidal_values(draw: Draw):
    n_positions, half = draw.sizes(2)
    yield _waves_case(3, 4)
    for shape in ((n_positions, 2 * half), (2 * half, 2 * half), (40, 6)):
        yield _waves_case(*shape)
    yield _waves_case(n_positions, 2 * half, by_name=True)


@sinusoidal_positions.core(
    "two channels are one pair, and one position is position 0",
    hint="the first pair's exponent is 0: its angle is p itself",
)
def sinusoidal_small(draw: Draw):
    n_positions, half = draw.sizes(2)
    for shape in ((n_positions, 2), (1, 2 * half), (1, 2)):
        yield _waves_case(*shape)


@sinusoidal_positions.edge(
    "positions in the thousands, and in the hundred thousands, are right as well, in float32",
    hint="angles in float64, and .float() at the end: an angle of 100,000 in float32 is off",
    fits=("dtype",),
)
def sinusoidal_large(draw: Draw):
    (half,) = draw.sizes(1)
    for shape in ((4097 + half, 6), (120_000 + half, 4), (2500, 2 * half)):
        yield _waves_case(*shape, exact=True)
