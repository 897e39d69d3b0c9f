"""Lesson 0: dot products, weighted averages, and a first module."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from .shapes import Float


def pairwise_dots(
    x: Float[np.ndarray, "T D"], y: Float[np.ndarray, "S D"]
) -> Float[np.ndarray, "T S"]:
    """Every dot product of a row of `x` with a row of `y`.

    The entry [t, s] is the sum over d of x[t, d] * y[s, d].

    >>> y = np.array([[3.0, 0.0], [1.0, 1.0]])
    >>> pairwise_dots(np.array([[1.0, 2.0]]), y)
    array([[3., 3.]])
    """
    return x @ y.T  # (T, D) @ (D, S) -> (T, S)


def weighted_average(
    weights: Float[np.ndarray, "T S"], values: Float[np.ndarray, "S D"]
) -> Float[np.ndarray, "T D"]:
    """For each row of `weights`, the average of the rows of `values`, each
    counted by its weight.

    A row of weights need not sum to 1: what counts is the share of each
    weight in its row.

    Write it from sums and products: `np.average` is what you are building.

    Raises:
        ValueError: a row of `weights` sums to 0; the message names the row.
    """
    totals = weights.sum(axis=-1, keepdims=True)
    if (totals == 0).any():
        row = int(np.flatnonzero(totals == 0)[0])
        raise ValueError(
            "each row of weights must have a sum other than 0, "
            f"got 0 in row {row}."
        )
    return weights / totals @ values


class Affine(nn.Module):
    """A linear map and a shift of every vector: `weight` x + `bias`, both
    of them learned.

    The parameters are `.weight`, `(d_out, d_in)`, and `.bias`, `(d_out,)`.

    Write it from a product and a sum: `nn.Linear` and `F.linear` are what
    you are building.
    """

    def __init__(self, d_in: int, d_out: int):
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(d_out, d_in) / math.sqrt(d_in)
        )
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(
        self, x: Float[Tensor, "... d_in"]
    ) -> Float[Tensor, "... d_out"]:
        """The last axis mapped from `d_in` to `d_out` numbers, all others
        left as they are.
        """
        return x @ self.weight.T + self.bias
