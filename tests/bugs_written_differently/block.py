"""The bugs of the block in other words."""

import torch
from torch import nn

from course_lib.transformer.mlp import MLP
from course_lib.transformer.multihead import MultiHeadAttention
from course_lib.transformer.norm import LayerNorm, post_norm, pre_norm

from . import same_bug_as


class _Block(nn.Module):
    """What most of these have in common: the right one, in parts that can be put out of order."""

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm2 = nn.LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)
        self.norm1 = nn.LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)

    def found(self, x, mask):
        return self.attention(self.norm1(x), mask=mask)

    def thought(self, x):
        return self.mlp(self.norm2(x))

    def forward(self, x, mask=None):
        x = x + self.found(x, mask)
        return x + self.thought(x)


@same_bug_as("AddsToTheNormalisedStream")
class NormsFirstThenResiduals(_Block):
    def forward(self, x, mask=None):
        normed = self.norm1(x)
        normed = self.norm2(normed + self.attention(normed, mask))
        return self.mlp(normed) + normed


@same_bug_as("AddsTheMLPToTheNormalisedStream")
class SecondHalfFromTheNorm(_Block):
    def forward(self, x, mask=None):
        normed = self.norm2(x + self.found(x, mask))
        return normed + self.mlp(normed)


@same_bug_as("DoublesWhatItsPartsReturn")
class TwiceEach(_Block):
    def forward(self, x, mask=None):
        return 2 * self.thought(2 * self.found(x, mask))


@same_bug_as("HasNoResiduals")
class AChain(_Block):
    def forward(self, x, mask=None):
        return self.thought(self.found(x, mask))


@same_bug_as("ReplacesTheStreamByAttention")
class AttentionAlone(_Block):
    def forward(self, x, mask=None):
        found = self.found(x, mask)
        return found + self.thought(found)


@same_bug_as("ReplacesTheStreamByTheMLP")
class MlpAlone(_Block):
    def forward(self, x, mask=None):
        return self.thought(x + self.found(x, mask))


@same_bug_as("AddsTheMLPToTheOldStream")
class OneShortcut(_Block):
    def forward(self, x, mask=None):
        shortcut = x
        x = x + self.found(x, mask)
        return shortcut + self.thought(x)


@same_bug_as("RunsBothAtOnce")
class SideBySide(_Block):
    def forward(self, x, mask=None):
        changes = self.found(x, mask), self.thought(x)
        return x + sum(changes)


@same_bug_as("RunsBothAtOnceBehindOneNorm")
class AsInGptJ(_Block):
    def forward(self, x, mask=None):
        y = self.norm1(x)
        return self.mlp(y) + self.attention(y, mask) + x


@same_bug_as("StartsWithTheMLP")
class ThinksFirst(_Block):
    def forward(self, x, mask=None):
        x = pre_norm(x, self.norm2, self.mlp)
        return pre_norm(x, self.norm1, lambda y: self.attention(y, mask))


@same_bug_as("IsPostNorm")
class TheFigureOf2017(_Block):
    def forward(self, x, mask=None):
        x = post_norm(x, self.norm1, lambda y: self.attention(y, mask))
        return post_norm(x, self.norm2, self.mlp)


@same_bug_as("NormalisesWhatIsAdded")
class NormsBehind(_Block):
    def forward(self, x, mask=None):
        found = self.norm1(self.attention(x, mask))
        return x + found + self.norm2(self.mlp(x + found))


@same_bug_as("ForgetsTheFirstNorm")
class RawAttention(_Block):
    def found(self, x, mask):
        return self.attention(x, mask)


@same_bug_as("ForgetsTheSecondNorm")
class RawMlp(_Block):
    def thought(self, x):
        return self.mlp(x)


@same_bug_as("UsesTheFirstNormTwice")
class Norm1Twice(_Block):
    def forward(self, x, mask=None):
        layers = (lambda y: self.attention(y, mask), self.mlp)
        for layer in layers:
            x = pre_norm(x, self.norm1, layer)
        return x


@same_bug_as("ExchangesTheNorms")
class NormsCrossed(_Block):
    def forward(self, x, mask=None):
        x = pre_norm(x, self.norm2, lambda y: self.attention(y, mask))
        return pre_norm(x, self.norm1, self.mlp)


@same_bug_as("SharesOneNorm")
class OneNormTwoNames(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        nn.Module.__init__(self)
        self.norm1 = self.norm2 = nn.LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)


@same_bug_as("EndsWithANorm")
class NormAtTheEnd(_Block):
    def forward(self, x, mask=None):
        return self.norm2(super().forward(x, mask))


@same_bug_as("AddsIntoTheCallersStream")
class AddInPlace(_Block):
    def forward(self, x, mask=None):
        x.add_(self.found(x, mask))
        return x.add_(self.thought(x))


@same_bug_as("KeepsTheMaskToItself")
class NoMaskAtAll(_Block):
    def found(self, x, mask):
        return super().found(x, None)


@same_bug_as("IsCausalInAnyCase")
class AlwaysTril(_Block):
    def found(self, x, mask):
        positions = torch.arange(x.shape[1], device=x.device)
        return super().found(x, positions[:, None] >= positions)


@same_bug_as("IsCausalWithoutAMask")
class TrilByDefault(_Block):
    def found(self, x, mask):
        positions = torch.arange(x.shape[1], device=x.device)
        return super().found(x, positions[:, None] >= positions if mask is None else mask)


@same_bug_as("HidesWhatTheMaskAllows")
class MaskUpsideDown(_Block):
    def found(self, x, mask):
        return super().found(x, mask if mask is None else mask.logical_not())


@same_bug_as("HasHeadsOfTheWrongWidth")
class HeadsByTheirWidth(_Block):
    def __init__(self, d_model, n_heads, **options):
        super().__init__(d_model, n_heads, **options)
        self.attention.n_heads = d_model // n_heads


@same_bug_as("HasAnMLPAsWideAsTheStream")
class NarrowMlp(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, **options):
        super().__init__(d_model, n_heads, bias=bias, **options)
        self.mlp = MLP(d_model, d_mlp=d_model, bias=bias)


@same_bug_as("KeepsTheBiasOfTheNorms")
class NormsWithBias(_Block):
    def __init__(self, d_model, n_heads, **options):
        super().__init__(d_model, n_heads, **options)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)


@same_bug_as("IgnoresBiasEverywhere")
class BiasesEverywhere(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, dropout=dropout, approximate=approximate)


@same_bug_as("KeepsApproximateFromTheMLP")
class ExactMlp(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, dropout=dropout)


@same_bug_as("DropsNothingAnywhere")
class NoDropout(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, approximate=approximate)


@same_bug_as("DropsOutputsByItself")
class OneDropoutForBoth(_Block):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__(d_model, n_heads, bias=bias, approximate=approximate)
        self.drop = nn.Dropout(dropout)

    def found(self, x, mask):
        return self.drop(super().found(x, mask))

    def thought(self, x):
        return self.drop(super().thought(x))


@same_bug_as("DropsTwice")
class DropsAgain(_Block):
    def __init__(self, d_model, n_heads, *, dropout=0.0, **options):
        super().__init__(d_model, n_heads, dropout=dropout, **options)
        self.again = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        x = x + self.again(self.found(x, mask))
        return x + self.again(self.thought(x))


@same_bug_as("DropsFromTheStream")
class DropsTheSum(_Block):
    def __init__(self, d_model, n_heads, *, dropout=0.0, **options):
        super().__init__(d_model, n_heads, dropout=dropout, **options)
        self.last = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        return self.last(super().forward(x, mask))


@same_bug_as("DetachesTheStream")
class NoWayBack(_Block):
    def forward(self, x, mask=None):
        x = self.found(x, mask) + x.data
        return self.thought(x) + x.data


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("CallsItsPartsAsGPT2Does")
class CallsItsPartsAsGPT2Does(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.ln_1 = LayerNorm(d_model, bias=bias)
        self.attn = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.ln_2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))
