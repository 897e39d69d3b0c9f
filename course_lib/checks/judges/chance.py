"""What can be judged of dropout: which numbers fall is left to chance, their share is not."""

import numpy as np

from .findings import Finding
from .tolerances import Tolerance

DROPOUT = 0.4
BY_CHANCE = Tolerance(1e-6, 1e-6)  # what is left to chance is which numbers, not their values


def share(what: str, is_so: np.ndarray, expected: float) -> Finding | None:
    """A finding if a share is farther from its expected value than chance ever takes it."""
    found = is_so.mean()
    if abs(found - expected) < 0.1:
        return None
    return Finding(
        f"the wrong share {what}", expected=f"about {expected:g}", got=f"{found:.2g} of them"
    )


def dropped_together(what: str, fates: np.ndarray, axes) -> Finding | None:
    """A finding if all numbers along an axis share one fate (nan: unknown)."""
    highest, lowest = (np.where(np.isnan(fates), sign * np.inf, fates) for sign in (-1, 1))
    for axis, name in enumerate(axes):
        if (highest.max(axis=axis) <= lowest.min(axis=axis)).all():
            return Finding(f"{what} are dropped for all {name} alike", expected="each by itself")
    return None
