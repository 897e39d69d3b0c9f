"""Lesson 6: the MLP, in which every position thinks for itself, and its bend, the GELU."""

import math

import torch
from torch import Tensor, nn

from .shapes import Float


def gelu(
    x: Float[Tensor, "..."], approximate: str = "none"
) -> Float[Tensor, "..."]:
    """Each number of `x`, times the share of a standard normal distribution
    that lies below it.

    x·Φ(x), where Φ(x) = (1 + erf(x / sqrt(2))) / 2. GPT-2 was trained with
    another curve, close to it: x · (1 + tanh(sqrt(2/π) · (x + 0.044715
    x³))) / 2. Half precision is computed in float32 and rounded once, at
    the end.

    Write it from `torch.erf` and `torch.tanh`: `F.gelu` and `nn.GELU` are
    what you are building.

    Args:
        approximate: "none" for the first, "tanh" for the second.

    Raises:
        ValueError: `approximate` is anything else.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016),
        section 2.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(
            'approximate must be "none" or "tanh", '
            f"got approximate={approximate!r}."
        )
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if approximate == "none":
        bend = torch.erf(wide / math.sqrt(2))
    else:
        bend = torch.tanh(
            math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
        )
    return (wide * (1 + bend) / 2).to(x.dtype)


class MLP(nn.Module):
    """Two linear layers with a GELU between them, the same for every
    position.

    `.up`, an `nn.Linear`, makes `d_mlp` numbers of `d_model`; `.down`,
    another, makes `d_model` of them again.

    Args:
        d_mlp: four times `d_model` unless given.
        bias: whether the two layers have one.
        dropout: in training, the share of the output that becomes 0.
        approximate: which GELU, as in `gelu`.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.3.
    """

    def __init__(
        self,
        d_model: int,
        d_mlp: int | None = None,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        approximate: str = "none",
    ):
        super().__init__()
        if d_mlp is None:
            d_mlp = 4 * d_model
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        """What each position makes of its own vector."""
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))
