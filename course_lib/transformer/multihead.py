"""Lesson 4: several heads, which look at the same text at once, each in its own channels."""

import torch
from torch import Tensor, nn

from .masking import masked_attention
from .shapes import Bool, Float


def split_heads(
    x: Float[Tensor, "... T C"], n_heads: int
) -> Float[Tensor, "... H T D"]:
    """`x` with its channels dealt out to the heads, the head axis in front
    of the positions.

    Head h gets the channels h·D to (h+1)·D - 1 of every position, where D =
    C / H. What comes back may be a view of `x`.

    Raises:
        ValueError: `n_heads` does not divide the number of channels.
    """
    d_model = x.shape[-1]
    if d_model % n_heads != 0:
        raise ValueError(
            "n_heads must divide the channels of x, "
            f"got n_heads={n_heads} and {d_model} channels."
        )
    # (..., T, C) -> (..., T, H, D)
    by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    return by_head.transpose(-3, -2)


def merge_heads(x: Float[Tensor, "... H T D"]) -> Float[Tensor, "... T C"]:
    """The heads of each position side by side again: what `split_heads`
    did, undone.

    Of one head, or of one position, it may be a view of `x`.
    """
    by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    return by_position.flatten(start_dim=-2)


class MultiHeadAttention(nn.Module):
    """Self-attention by `n_heads` heads at once, and a layer that mixes
    what they found.

    `.qkv`, an `nn.Linear` from C to 3·C, makes queries, keys and values, in
    this order, for all heads together; `.out`, from C to C, mixes.

    Write it from the parts you have: `nn.MultiheadAttention` is what you
    are building.

    Args:
        bias: whether the two layers have one.
        dropout: in training, the share of the weights, and of the output,
            that becomes 0.

    Raises:
        ValueError: `n_heads` does not divide `d_model`.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section
        3.2.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(
                "n_heads must divide d_model, "
                f"got n_heads={n_heads} and d_model={d_model}."
            )
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """What each position gathers, through all heads, from where `mask`
        lets it look.

        Args:
            mask: `(T, S)` for all texts, or `(B, T, S)` or `(B, 1, S)` for
                each its own. All heads share it. None allows everything. A
                query with nothing to attend to gathers zeros.
        """
        q, k, v = (
            split_heads(part, self.n_heads)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        if mask is not None:
            # a head axis: without it texts are taken for heads
            mask = mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        # dropout comes between the weights and the values
        gathered = self.dropout(weights) @ v
        return self.dropout(self.out(merge_heads(gathered)))
