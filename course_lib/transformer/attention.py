"""Lesson 2: self-attention, first in NumPy, then batched in torch, then as a module."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from .shapes import Float


def softmax(
    x: Float[np.ndarray, "..."], axis: int = -1
) -> Float[np.ndarray, "..."]:
    """Positive weights that sum to 1 along `axis`, larger where `x` is
    larger.

    softmax(x)_i = exp(x_i) / sum_j exp(x_j). Entries of -inf get a weight
    of exactly 0; entries as large as ±1e4 neither overflow nor give nan. At
    least one entry along `axis` is finite.

    Write it from exponentials and sums: `torch.softmax` is what you are
    building.

    Returns:
        An array of the shape of `x`.

    >>> softmax(np.array([0.0, 0.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    shifted = x - x.max(axis=axis, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def attention_numpy(
    q: Float[np.ndarray, "T D"],
    k: Float[np.ndarray, "S D"],
    v: Float[np.ndarray, "S E"],
) -> tuple[Float[np.ndarray, "T E"], Float[np.ndarray, "T S"]]:
    """What each query gathers from the values, and the weights it gathered
    them with.

    weights = softmax(q kᵀ / sqrt(D)) over the keys; output = weights v.

    Write it from matrix products: `F.scaled_dot_product_attention` and
    `nn.MultiheadAttention` are what you are building.

    Returns:
        `(output, weights)`; row t of `weights` says how much query t takes
        from each value.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section
        3.2.1.
    """
    scores = q @ k.T / math.sqrt(q.shape[-1])
    weights = softmax(scores, axis=-1)
    return weights @ v, weights


def attention(
    q: Float[Tensor, "... T D"],
    k: Float[Tensor, "... S D"],
    v: Float[Tensor, "... S E"],
) -> tuple[Float[Tensor, "... T E"], Float[Tensor, "... T S"]]:
    """`attention_numpy` in torch: any number of leading axes, and gradients
    flow through it.

    Write it from matrix products: `F.scaled_dot_product_attention` and
    `nn.MultiheadAttention` are what you are building.

    Returns:
        `(output, weights)` in the dtype and on the device of the inputs.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section
        3.2.1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


class SelfAttention(nn.Module):
    """One head of self-attention: every position asks, every position
    answers.

    Queries, keys and values are three linear views of the same `x`. Their
    layers, `.query`, `.key` and `.value`, are each an
    `nn.Linear(d_model, d_head, bias=False)`.

    Write it from three layers and `attention`: `nn.MultiheadAttention` is
    what you are building.
    """

    def __init__(self, d_model: int, d_head: int):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(
        self, x: Float[Tensor, "... T C"]
    ) -> Float[Tensor, "... T D"]:
        """What each position gathers from all positions of its own text."""
        output, _ = attention(self.query(x), self.key(x), self.value(x))
        return output
