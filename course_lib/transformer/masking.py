"""Lesson 3: masks, or which keys a query may attend to. `True` means may attend."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .attention import SelfAttention
from .shapes import Bool, Float, Int


def causal_mask(
    n_queries: int, n_keys: int | None = None, *, device=None
) -> Bool[Tensor, "T S"]:
    """Which keys each query may attend to when it must not see the future.

    The queries are the last `n_queries` of `n_keys` positions (as many keys
    as queries, when `n_keys` is None), so the mask also serves a cache that
    already holds `n_keys - n_queries` of them. `True` means may attend.

    Write it from positions, or from a triangle:
    `nn.Transformer.generate_square_subsequent_mask` is what you are
    building.

    Raises:
        ValueError: `n_keys` is smaller than `n_queries`.
    """
    if n_keys is None:
        n_keys = n_queries
    if n_keys < n_queries:
        raise ValueError(
            "n_keys must be at least n_queries, "
            "because the queries are the last of the keys' "
            f"positions, got n_keys={n_keys} and n_queries={n_queries}."
        )
    query_positions = torch.arange(
        n_keys - n_queries, n_keys, device=device
    )
    key_positions = torch.arange(n_keys, device=device)
    return key_positions <= query_positions[:, None]


def padding_mask(
    lengths: Int[Tensor, " B"], n_keys: int
) -> Bool[Tensor, "B 1 S"]:
    """Which keys are real, in a batch of texts of unequal length filled up
    to `n_keys`.

    Text b is real at its first `lengths[b]` positions. The middle axis lets
    one row of keys serve every query of its text. Lengths are of any
    integer type, also one that has no number as large as `n_keys`.

    Raises:
        ValueError: a length is negative or larger than `n_keys`.
    """
    lengths = (
        lengths.long()
    )  # a narrower integer may be too small for n_keys
    wrong = (lengths < 0) | (lengths > n_keys)
    if wrong.any():
        raise ValueError(
            "lengths must lie in 0..n_keys, "
            f"got lengths={lengths[wrong].tolist()} "
            f"with n_keys={n_keys}."
        )
    return (
        torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    )


def masked_softmax(
    scores: Float[Tensor, "... T S"], mask: Bool[Tensor, "..."]
) -> Float[Tensor, "... T S"]:
    """Softmax over the keys that `mask` allows; every other weight is
    exactly 0.

    `mask` broadcasts to the shape of `scores`. A row with nothing to attend
    to is all zeros, and its gradient is zero, not nan.

    Scores are finite, up to ±6e4, in float16 and bfloat16 too. Every other
    row sums to 1: within 1e-6, in bfloat16 1e-2, in float16 2e-3.

    Write it from a softmax and a mask: `torch.masked.softmax` is what you
    are building.
    """
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def masked_attention(
    q: Float[Tensor, "... T D"],
    k: Float[Tensor, "... S D"],
    v: Float[Tensor, "... S E"],
    mask: Bool[Tensor, "..."] | None = None,
) -> tuple[Float[Tensor, "... T E"], Float[Tensor, "... T S"]]:
    """`attention` in which query t reads key s only where `mask[..., t, s]`
    is True.

    The products of queries and keys are finite in the dtype they have.

    Write it from matrix products: `F.scaled_dot_product_attention` and
    `nn.MultiheadAttention` are what you are building.

    Args:
        mask: broadcasts to the shape of the scores, `(..., T, S)`. A mask
            of one per text, `(B, T, S)`, needs a head axis before it meets
            scores of `(B, H, T, S)`; with as many texts as heads nothing
            complains where it is missing. None allows everything.

    Returns:
        `(output, weights)`; a query with nothing to attend to gets zeros.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is None:
        mask = torch.ones((), dtype=torch.bool, device=scores.device)
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


class CausalSelfAttention(SelfAttention):
    """`SelfAttention` in which no position sees a later one. The parameters
    are the same.

    Write it from the parts you have: `nn.MultiheadAttention` is what you
    are building.
    """

    def forward(
        self, x: Float[Tensor, "... T C"]
    ) -> Float[Tensor, "... T D"]:
        """What each position gathers from itself and the positions before
        it.
        """
        mask = causal_mask(x.shape[-2], device=x.device)
        output, _ = masked_attention(
            self.query(x), self.key(x), self.value(x), mask
        )
        return output


def future_influence(
    fn: Callable[[Tensor], Tensor], x: Float[Tensor, "T C"]
) -> Float[Tensor, "T T"]:
    """How strongly output t of `fn` depends on input s: the Frobenius norm
    of ∂fn(x)[t]/∂x[s].

    For a causal `fn` every entry above the diagonal is 0, or at most 1e-12
    in float64. `fn` keeps the first axis of `x`. `x`, and the `.grad` of
    any parameter inside `fn`, stay as they were.

    Returns:
        A detached `(T, T)` tensor, outputs in rows, inputs in columns.
    """
    x = x.detach()
    jacobian = torch.autograd.functional.jacobian(fn, x)  # (T, ..., T, C)
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3)).sqrt()
