"""Wrong answers to the block that no bug of the zoo behaves like."""

import torch
from torch import nn

from course_lib.transformer.mlp import MLP
from course_lib.transformer.multihead import MultiHeadAttention
from course_lib.transformer.norm import LayerNorm

from . import wrong_answer


class Right(nn.Module):
    """A right block, for the wrong answers below to spoil."""

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@wrong_answer("Block")
class ScalesTheResiduals(Right):
    def forward(self, x, mask=None):
        x = (x + self.attention(self.norm1(x), mask)) / 2**0.5
        return (x + self.mlp(self.norm2(x))) / 2**0.5


@wrong_answer("Block")
class NormalisesOnEitherSide(Right):
    def forward(self, x, mask=None):
        x = x + self.norm1(self.attention(self.norm1(x), mask))
        return x + self.norm2(self.mlp(self.norm2(x)))


@wrong_answer("Block")
class PassesTheMLPThroughTheFirstNorm(Right):
    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm1(self.norm2(x)))


@wrong_answer("Block")
class AttendsTwice(Right):
    def forward(self, x, mask=None):
        for _ in range(2):
            x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@wrong_answer("Block")
class SubtractsWhatAttentionReturns(Right):
    def forward(self, x, mask=None):
        x = x - self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@wrong_answer("Block")
class AddsXTwice(Right):
    def forward(self, x, mask=None):
        return x + super().forward(x, mask)


@wrong_answer("Block")
class NormalisesWithAnotherEps(Right):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, dropout=dropout, approximate=approximate)
        self.norm1 = LayerNorm(d_model, bias=bias, eps=1e-6)
        self.norm2 = LayerNorm(d_model, bias=bias, eps=1e-6)


@wrong_answer("Block")
class MasksTheMLPToo(Right):
    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        change = self.mlp(self.norm2(x))
        if mask is not None:
            change = change * mask.any(dim=-2).unsqueeze(-1)
        return x + change


@wrong_answer("Block")
class RemembersTheMask(Right):
    def forward(self, x, mask=None):
        kept = getattr(self, "mask", None)
        if mask is None and kept is not None and kept.shape[-1] == x.shape[1]:
            mask = kept
        self.mask = mask
        return super().forward(x, mask)


@wrong_answer("Block")
class UsesTheFirstTextsMask(Right):
    def forward(self, x, mask=None):
        return super().forward(x, mask if mask is None or mask.dim() == 2 else mask[0])


@wrong_answer("Block")
class DropsWholeTexts(Right):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, approximate=approximate)
        self.p = dropout

    def forward(self, x, mask=None):
        change = super().forward(x, mask) - x
        kept = nn.functional.dropout(torch.ones_like(x[:, :1, :1]), self.p, self.training)
        return x + kept * change


@wrong_answer("Block")
class DropsInEvaluationToo(Right):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, approximate=approximate)
        self.p = dropout

    def forward(self, x, mask=None):
        x = x + nn.functional.dropout(self.attention(self.norm1(x), mask), self.p)
        return x + nn.functional.dropout(self.mlp(self.norm2(x)), self.p)


@wrong_answer("Block")
class ReturnsWhatWasAdded(Right):
    def forward(self, x, mask=None):
        y = super().forward(x, mask)
        return y, y - x


@wrong_answer("Block")
class TakesTheMLPToFloat32(Right):
    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x.float() + self.mlp(self.norm2(x)).float()


@wrong_answer("Block")
class SavesACausalMask(Right):
    def __init__(self, d_model, n_heads, **options):
        super().__init__(d_model, n_heads, **options)
        self.register_buffer("tril", torch.ones(64, 64).tril())


@wrong_answer("Block")
class CutsTheWayBackFromTheMLP(Right):
    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x.detach()))


@wrong_answer("Block")
class MasksInEvaluationOnly(Right):
    def forward(self, x, mask=None):
        return super().forward(x, None if self.training else mask)


@wrong_answer("Block")
class IsCausalBesides(Right):
    """What the mask allows and the past, both."""

    def forward(self, x, mask=None):
        if mask is not None:
            mask = mask & torch.ones_like(mask).tril()
        return super().forward(x, mask)


@wrong_answer("Block")
class CutsXOffInTraining(Right):
    def forward(self, x, mask=None):
        return super().forward(x.detach() if self.training else x, mask)
