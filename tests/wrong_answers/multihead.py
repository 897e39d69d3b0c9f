"""Wrong answers to lesson 4 that no bug of the zoo behaves like."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from course_lib.transformer.masking import masked_attention, masked_softmax
from course_lib.transformer.multihead import MultiHeadAttention, merge_heads, split_heads

from . import wrong_answer

# --- split_heads -----------------------------------------------------------------------------


@wrong_answer("split_heads")
def hands_the_blocks_out_backwards(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide {x.shape[-1]}")
    return x.unflatten(-1, (n_heads, -1)).transpose(-3, -2).flip(-3)


@wrong_answer("split_heads")
def gives_every_head_the_first_block(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide {x.shape[-1]}")
    first = x[..., None, :, : x.shape[-1] // n_heads]
    return first.repeat(*[1] * (x.dim() - 2), n_heads, 1, 1)


@wrong_answer("split_heads")
def transposes_each_head(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide {x.shape[-1]}")
    return x.unflatten(-1, (n_heads, -1)).movedim(-3, -1)


@wrong_answer("split_heads")
def copies_without_gradient(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide {x.shape[-1]}")
    return torch.tensor(x.tolist(), dtype=x.dtype).unflatten(-1, (n_heads, -1)).transpose(-3, -2)


# --- merge_heads -----------------------------------------------------------------------------


@wrong_answer("merge_heads")
def joins_the_heads_backwards(x):
    return x.flip(-3).transpose(-3, -2).flatten(start_dim=-2)


@wrong_answer("merge_heads")
def averages_the_heads_and_repeats(x):
    return x.mean(dim=-3).repeat(*[1] * (x.dim() - 2), x.shape[-3])


@wrong_answer("merge_heads")
def squeezes_on_the_way(x):
    return x.transpose(-3, -2).squeeze().flatten(start_dim=-2)


@wrong_answer("merge_heads")
def joins_detached_heads(x):
    return x.detach().transpose(-3, -2).flatten(start_dim=-2)


@wrong_answer("merge_heads")
def always_answers_in_float32(x):
    return x.transpose(-3, -2).flatten(start_dim=-2).float()


@wrong_answer("merge_heads")
def squeezes_a_single_text(x):
    return merge_heads(x.squeeze(0) if x.dim() > 3 else x)


# --- MultiHeadAttention ----------------------------------------------------------------------


class OfManyHeads(nn.Module):
    """A right layer, for the wrong answers below to spoil."""

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def heads(self, x):
        return [split_heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1)]

    def weights(self, q, k, v, mask):
        return masked_attention(q, k, v, None if mask is None else mask.unsqueeze(-3))[1]

    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        found = self.dropout(self.weights(q, k, v, mask)) @ v
        return self.dropout(self.out(merge_heads(found)))


@wrong_answer("MultiHeadAttention")
class AddsItsInput(OfManyHeads):
    def forward(self, x, mask=None):
        return x + super().forward(x, mask)


@wrong_answer("MultiHeadAttention")
class SharesTheWeightsOfHeadZero(OfManyHeads):
    def weights(self, q, k, v, mask):
        return super().weights(q, k, v, mask)[:, :1]


@wrong_answer("MultiHeadAttention")
class AveragesTheWeightsOfTheHeads(OfManyHeads):
    def weights(self, q, k, v, mask):
        return super().weights(q, k, v, mask).mean(dim=1, keepdim=True)


@wrong_answer("MultiHeadAttention")
class BendsTheHeads(OfManyHeads):
    def heads(self, x):
        return [F.relu(part) for part in super().heads(x)]


@wrong_answer("MultiHeadAttention")
class ReturnsTheWeightsToo(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        weights = self.weights(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v))), weights


@wrong_answer("MultiHeadAttention")
class RenormalisesAfterDropout(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        weights = self.dropout(self.weights(q, k, v, mask))
        if self.training and self.dropout.p > 0:
            weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-9)
        return self.dropout(self.out(merge_heads(weights @ v)))


@wrong_answer("MultiHeadAttention")
class DropsWithoutScaling(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        weights = self.weights(q, k, v, mask)
        if self.training:
            weights = weights * (torch.rand_like(weights) >= self.dropout.p)
        return self.dropout(self.out(merge_heads(weights @ v)))


@wrong_answer("MultiHeadAttention")
class DropsWholePositions(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        y = self.out(merge_heads(self.dropout(self.weights(q, k, v, mask)) @ v))
        return y * self.dropout(torch.ones_like(y[..., :1]))


@wrong_answer("MultiHeadAttention")
class DropsTheSameKeysForAllHeads(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        weights = self.weights(q, k, v, mask)
        weights = weights * self.dropout(torch.ones_like(weights[:, :1]))
        return self.dropout(self.out(merge_heads(weights @ v)))


@wrong_answer("MultiHeadAttention")
class DropsValuesInsteadOfWeights(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        found = self.weights(q, k, v, mask) @ self.dropout(v)
        return self.dropout(self.out(merge_heads(found)))


@wrong_answer("MultiHeadAttention")
class DropsScoresBeforeSoftmax(OfManyHeads):
    def weights(self, q, k, v, mask):
        scores = self.dropout(q @ k.mT / math.sqrt(q.shape[-1]))
        mask = torch.ones((), dtype=torch.bool) if mask is None else mask.unsqueeze(-3)
        return masked_softmax(scores, mask)


@wrong_answer("MultiHeadAttention")
class MasksOnlyTheFirstHead(OfManyHeads):
    def weights(self, q, k, v, mask):
        first = super().weights(q[:, :1], k[:, :1], v[:, :1], mask)
        return torch.cat([first, super().weights(q[:, 1:], k[:, 1:], v[:, 1:], None)], dim=1)


@wrong_answer("MultiHeadAttention")
class HidesWithTenThousand(OfManyHeads):
    def weights(self, q, k, v, mask):
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(-3), -1e4)
        return scores.softmax(dim=-1)


@wrong_answer("MultiHeadAttention")
class RemembersTheMask(OfManyHeads):
    def weights(self, q, k, v, mask):
        kept = getattr(self, "mask", None)
        if mask is None and kept is not None and kept.shape[-1] == k.shape[-2]:
            mask = kept
        self.mask = mask
        return super().weights(q, k, v, mask)


@wrong_answer("MultiHeadAttention")
class DropsNothingUnderAMask(OfManyHeads):
    def forward(self, x, mask=None):
        if mask is None:
            return super().forward(x)
        q, k, v = self.heads(x)
        return self.out(merge_heads(self.weights(q, k, v, mask) @ v))


@wrong_answer("MultiHeadAttention")
class DropsWeightsUnderAMaskOnly(OfManyHeads):
    def forward(self, x, mask=None):
        q, k, v = self.heads(x)
        weights = self.weights(q, k, v, mask)
        weights = weights if mask is None else self.dropout(weights)
        return self.dropout(self.out(merge_heads(weights @ v)))


@wrong_answer("MultiHeadAttention")
class SavesAMaskAmongTheWeights(OfManyHeads):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__(d_model, n_heads, bias=bias, dropout=dropout)
        self.register_buffer("tril", torch.ones(8, 8).tril())


@wrong_answer("MultiHeadAttention")
class ShowsEverythingToASingleToken(OfManyHeads):
    def forward(self, x, mask=None):
        return super().forward(x, None if x.shape[1] == 1 else mask)


@wrong_answer("MultiHeadAttention")
class TakesASquareMaskForPadding(MultiHeadAttention):
    def forward(self, x, mask=None):
        if mask is not None and mask.dim() == 2 and len(mask) == len(x):
            mask = mask[:, None]  # as many rows as texts: a row for each, it seems
        return super().forward(x, mask)


# --- what is computed again on the way back shows ----------------------------------------------


@wrong_answer("MultiHeadAttention")
class DropsAnewOnTheWayBack(MultiHeadAttention):
    def forward(self, x, mask=None):
        if not self.training:
            return super().forward(x, mask)
        again = {"use_reentrant": False, "preserve_rng_state": False}
        return checkpoint(super().forward, x, mask, **again)


@wrong_answer("MultiHeadAttention")
class KeepsAWideMask(MultiHeadAttention):
    """The last mask, as it was added, in the dtype that the module had then."""

    kept = (None, None)

    def forward(self, x, mask=None):
        if mask is None or mask.dim() > 2 or not mask.any(dim=-1).all():
            return super().forward(x, mask)
        if self.kept[0] is None or not torch.equal(self.kept[0], mask):
            added = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -math.inf)
            self.kept = mask.clone(), added
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1))
        scores = q / math.sqrt(q.shape[-1]) @ k.transpose(-2, -1) + self.kept[1]
        gathered = self.dropout(scores.softmax(dim=-1)) @ v
        return self.dropout(self.out(merge_heads(gathered)))
