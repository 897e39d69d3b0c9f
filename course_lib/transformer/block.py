"""Lesson 6: the block, which lets positions talk and then think. A GPT is a stack of these."""

import torch
from torch import Tensor, nn

from .mlp import MLP
from .multihead import MultiHeadAttention
from .norm import LayerNorm
from .shapes import Bool, Float


class Block(nn.Module):
    """Attention and an MLP, each added to the residual stream, each behind
    a norm of its own.

    `.norm1` stands before `.attention`, and `.norm2` before `.mlp`. Both
    norms are a `LayerNorm`, the others a `MultiHeadAttention` and an `MLP`.

    Write it from the parts you have: `nn.TransformerEncoderLayer` is what
    you are building.

    Args:
        bias: whether norms and linear layers have one.
        dropout: in training, the share of weights and of outputs that
            becomes 0.
        approximate: which GELU, as in `gelu`.

    Source: Radford et al., "Language Models are Unsupervised Multitask
        Learners" (2019), section 2.3.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        approximate: str = "none",
    ):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(
            d_model, n_heads, bias=bias, dropout=dropout
        )
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(
            d_model, bias=bias, dropout=dropout, approximate=approximate
        )

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """The stream after both have added to it; `mask` as in
        `MultiHeadAttention`.
        """
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))
