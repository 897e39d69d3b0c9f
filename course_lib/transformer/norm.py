"""Lesson 5: layer normalisation, and the residual connection with the norm before or after."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .shapes import Float


def layer_norm(
    x: Float[Tensor, "... C"],
    weight: Float[Tensor, " C"],
    bias: Float[Tensor, " C"] | None,
    eps: float = 1e-5,
) -> Float[Tensor, "... C"]:
    """Every vector of `x` with mean 0 and variance 1, then scaled and
    shifted channel by channel.

    (x - mean) / sqrt(variance + eps) * weight + bias, with mean and
    variance over the last axis. The variance divides by C, not by C - 1.
    Half precision is computed in float32 and rounded once, at the end.

    Write it from means and a root: `F.layer_norm` and `nn.LayerNorm` are
    what you are building.

    Args:
        bias: None adds nothing.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (2016), section 3.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    if bias is not None:
        normed = normed + bias
    return normed.to(x.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` with a `.weight` and a `.bias` that are learned; they
    start at 1 and 0.

    With `bias=False`, `.bias` is None.

    Write it from `layer_norm`, yours: `F.layer_norm` and `nn.LayerNorm` are
    what you are building.
    """

    def __init__(
        self, d_model: int, *, bias: bool = True, eps: float = 1e-5
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        """Every vector of `x`, normalised."""
        return layer_norm(x, self.weight, self.bias, self.eps)


def pre_norm(
    x: Float[Tensor, "... C"],
    norm: Callable[[Tensor], Tensor],
    sublayer: Callable[[Tensor], Tensor],
) -> Float[Tensor, "... C"]:
    """`x`, plus what `sublayer` makes of the normalised `x`.

    `x` itself goes on untouched, so a stack of these has one straight path
    from end to end. Each of the two is called once.

    Source: Xiong et al., "On Layer Normalization in the Transformer
        Architecture" (2020).
    """
    return x + sublayer(norm(x))


def post_norm(
    x: Float[Tensor, "... C"],
    norm: Callable[[Tensor], Tensor],
    sublayer: Callable[[Tensor], Tensor],
) -> Float[Tensor, "... C"]:
    """`x`, plus what `sublayer` makes of `x`, and the sum normalised.

    Each of the two is called once.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.1.
    """
    return norm(x + sublayer(x))
