"""Inputs from a seed: the same seed gives the same inputs, on any machine."""

import numpy as np
import torch

ODD_SIZES = (3, 5, 7, 9, 11, 13)


class Draw:
    """Fresh inputs from a seed: the same seed gives the same inputs, on any machine.

    Args:
        further: all sizes are larger by this than they would be.
    """

    def __init__(self, seed: int, *, further: int = 0):
        self.started_from, self._rng = seed, np.random.default_rng(seed)
        self._further = further

    def sizes(self, count: int, *, largest: int = 13) -> list[int]:
        """Pairwise different odd sizes, so that no two axes can be taken for each other."""
        sizes = [size + self._further for size in ODD_SIZES if size <= largest]
        return [int(n) for n in self._rng.choice(sizes, size=count, replace=False)]

    def normal(self, *shape: int, dtype: str = "float64") -> np.ndarray:
        """Standard normal values in float64, each one exact in `dtype`."""
        return exact_in(self._rng.standard_normal(shape), dtype)

    def integers(self, low: int, high: int, shape=()) -> np.ndarray:
        """Whole numbers in low..high, both ends included."""
        return self._rng.integers(low, high, size=shape, endpoint=True)

    def seed(self) -> int:
        """A seed for what is drawn on the other side."""
        return int(self.integers(0, 2**31 - 1))

    def mask(self, *shape: int) -> np.ndarray:
        """A boolean mask with both values in it, and True at least once in every row."""
        mask = self._rng.random(shape) < 0.5
        rows = mask.reshape(-1, shape[-1])
        columns = self._rng.integers(0, shape[-1], size=len(rows))
        rows[np.arange(len(rows)), columns] = True
        rows[0, (columns[0] + 1) % shape[-1]] = False
        return mask

    def order(self, n: int) -> np.ndarray:
        """A permutation of 0..n-1 that is not the identity."""
        order = self._rng.permutation(n)
        return np.roll(order, 1) if (order == np.arange(n)).all() else order


def exact_in(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` rounded to `dtype` and back to float64: what a component in `dtype` is given."""
    if dtype in ("float64", "numpy"):
        return array
    return torch.from_numpy(array).to(getattr(torch, dtype)).double().numpy()
