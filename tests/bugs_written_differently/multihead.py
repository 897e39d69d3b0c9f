"""The bugs of lesson 4 in other words."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.masking import masked_attention, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads

from . import same_bug_as

# --- split_heads -----------------------------------------------------------------------------


@same_bug_as("splits_by_a_view_alone")
def flattened_and_cut(x, n_heads):
    d_head, rest = divmod(x.shape[-1], n_heads)
    if rest:
        raise ValueError(f"{rest} channels are left over with n_heads={n_heads}")
    texts = x.flatten(start_dim=-2)
    return torch.stack(
        [piece.unflatten(-1, (-1, d_head)) for piece in texts.chunk(n_heads, -1)], -3
    )


@same_bug_as("splits_head_minor")
def every_nth_channel(x, n_heads):
    if x.shape[-1] % n_heads > 0:
        raise ValueError(f"n_heads={n_heads}?")
    return torch.stack([x[..., h::n_heads] for h in range(n_heads)], dim=-3)


@same_bug_as("leaves_the_heads_behind_the_positions")
def stacked_behind_the_positions(x, n_heads):
    if x.shape[-1] % n_heads > 0:
        raise ValueError(f"n_heads={n_heads}?")
    return torch.stack(x.chunk(n_heads, dim=-1), dim=-2)


@same_bug_as("puts_heads_before_texts")
def stacked_in_front(x, n_heads):
    if x.shape[-1] % n_heads > 0:
        raise ValueError(f"n_heads={n_heads}?")
    return torch.stack(x.chunk(n_heads, dim=-1))


@same_bug_as("expects_one_leading_axis")
def batch_length_width(x, n_heads):
    _, _, C = x.size()
    if C % n_heads != 0:
        raise ValueError(f"n_heads={n_heads} must divide {C}")
    return torch.stack(x.split(C // n_heads, dim=2), dim=1)


@same_bug_as("asserts_that_heads_divide")
def asserted_with_divmod(x, n_heads):
    d_head, rest = divmod(x.shape[-1], n_heads)
    assert not rest
    return torch.stack(x.split(d_head, dim=-1), dim=-3)


# --- merge_heads -----------------------------------------------------------------------------


@same_bug_as("merges_by_a_reshape_alone")
def flattened_and_folded(x):
    n_heads, n_tokens, d_head = x.shape[-3:]
    return x.flatten(start_dim=-3).unflatten(-1, (n_tokens, n_heads * d_head))


@same_bug_as("merges_head_minor")
def stacked_last(x):
    return torch.stack(x.unbind(dim=-3), dim=-1).flatten(-2)


@same_bug_as("sums_the_heads")
def added_one_by_one(x):
    total = torch.zeros_like(x[..., 0, :, :])
    for h in range(x.shape[-3]):
        total = total + x[..., h, :, :]
    return total


@same_bug_as("views_what_is_not_contiguous")
def permuted_and_viewed(x):
    moved = x.movedim(-2, -3)
    return moved.view(*moved.shape[:-2], moved.shape[-2] * moved.shape[-1])


@same_bug_as("only_transposes")
def only_moved(x):
    return x.movedim(-3, -2).contiguous()


@same_bug_as("counts_axes_from_the_front")
def swapped_from_the_front(x):
    y = x.swapaxes(1, 2)
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


# --- MultiHeadAttention ----------------------------------------------------------------------


class Written(nn.Module):
    """A right layer, written in the style of nanoGPT; below, one step at a time goes wrong."""

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"d_model={d_model} is no multiple of n_heads={n_heads}")
        self.n_heads, self.dropout = n_heads, dropout
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.drop_output = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        weights = self.weigh(q, k, self.per_head(mask, x))
        return self.drop_output(self.out(self.join(self.drop(weights) @ v)))

    def cut(self, qkv):
        B, T, C = qkv.shape
        parts = qkv.view(B, T, 3, self.n_heads, C // 3 // self.n_heads)
        return parts.permute(2, 0, 3, 1, 4).unbind(0)

    def per_head(self, mask, x):
        return mask[:, None] if mask is not None and mask.dim() == 3 else mask

    def weigh(self, q, k, mask):
        scores = torch.einsum("bhtd,bhsd->bhts", q, k) / q.shape[-1] ** 0.5
        return masked_softmax(scores, torch.ones_like(scores).bool() if mask is None else mask)

    def drop(self, weights):
        return F.dropout(weights, self.dropout, self.training)

    def join(self, heads):
        return heads.permute(0, 2, 1, 3).flatten(2)


@same_bug_as("CutsHeadsByAView")
class CutsFlatTexts(Written):
    def cut(self, qkv):
        parts = (part.flatten(1).chunk(self.n_heads, dim=1) for part in qkv.chunk(3, dim=2))
        shape = (len(qkv), qkv.shape[1], -1)
        return [torch.stack([p.reshape(shape) for p in pieces], dim=1) for pieces in parts]


@same_bug_as("JoinsHeadsByAReshape")
class JoinsFlatHeads(Written):
    def join(self, heads):
        B, H, T, D = heads.shape
        return heads.flatten(1).view(B, T, H * D)


@same_bug_as("CutsAndJoinsByViews")
class FoldsHeadsIntoTheBatch(Written):
    def cut(self, qkv):
        B, T, _ = qkv.shape
        folded = (p.reshape(B * self.n_heads, T, -1) for p in qkv.chunk(3, dim=-1))
        return [p.unflatten(0, (B, self.n_heads)) for p in folded]

    def join(self, heads):
        B, H, T, D = heads.shape
        return heads.reshape(B * H, T, D).view(B, T, H * D)


@same_bug_as("DealsChannelsOneByOne")
class TakesEveryNthChannel(Written):
    def cut(self, qkv):
        H = self.n_heads
        return [
            torch.stack([part[..., h::H] for h in range(H)], dim=1) for part in qkv.chunk(3, dim=-1)
        ]

    def join(self, heads):
        return torch.stack(heads.unbind(1), dim=-1).flatten(2)


@same_bug_as("ReadsQkvHeadByHead")
class StoresQkvHeadByHead(Written):
    def cut(self, qkv):
        B, T, C = qkv.shape
        parts = qkv.view(B, T, self.n_heads, 3, C // 3 // self.n_heads)
        return parts.permute(3, 0, 2, 1, 4).unbind(0)


@same_bug_as("ReadsKeysFirst")
class AsksWithKeys(Written):
    def weigh(self, q, k, mask):
        return super().weigh(k, q, mask)


@same_bug_as("ReadsValuesFirst")
class CountsBackwards(Written):
    def cut(self, qkv):
        return super().cut(qkv)[::-1]


@same_bug_as("ScalesByTheModelsWidth")
class DividesByTheRootOfC(Written):
    def weigh(self, q, k, mask):
        scores = q @ k.mT * (q.shape[1] * q.shape[3]) ** -0.5
        return masked_softmax(scores, scores.new_ones(1).bool() if mask is None else mask)


@same_bug_as("DoesNotScale")
class PlainDotProducts(Written):
    def weigh(self, q, k, mask):
        scores = (q[..., :, None, :] * k[..., None, :, :]).sum(-1)
        return masked_softmax(scores, scores.new_ones(1).bool() if mask is None else mask)


@same_bug_as("ForgetsTheMask")
class NeverPassesTheMask(Written):
    def per_head(self, mask, x):
        return None


@same_bug_as("HidesWhatIsAllowed")
class AsInMultiheadAttention(Written):
    def weigh(self, q, k, mask):
        return super().weigh(q, k, None if mask is None else torch.logical_not(mask))


@same_bug_as("IsAlwaysCausal")
class TrilByDefault(Written):
    def per_head(self, mask, x):
        T = x.shape[1]
        tril = torch.tril(torch.ones(T, T, device=x.device)) == 1
        return tril if mask is None else super().per_head(mask, x)


@same_bug_as("TakesTextsForHeads")
class LetsMasksBroadcast(Written):
    def per_head(self, mask, x):
        return mask


@same_bug_as("RepeatsMasksInTheWrongOrder")
class TilesTheMasks(Written):
    def per_head(self, mask, x):
        if mask is None or mask.dim() == 2:
            return mask
        B, H = len(x), self.n_heads
        mask = mask.expand(B, -1, -1)
        return torch.cat([mask] * H).view(B, H, *mask.shape[1:])


@same_bug_as("PutsTwoAxesBeforeEveryMask")
class UnsqueezesTwice(Written):
    def per_head(self, mask, x):
        return mask if mask is None else mask.unsqueeze(0).unsqueeze(0)


@same_bug_as("NeverUsesTheOutputLayer")
class ForgetsToMix(Written):
    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        weights = self.weigh(q, k, self.per_head(mask, x))
        return self.drop_output(self.join(self.drop(weights) @ v))


@same_bug_as("DropsOnlyTheOutput")
class LeavesTheWeights(Written):
    def drop(self, weights):
        return weights


@same_bug_as("DropsOnlyTheWeights")
class FusedWithoutOutputDropout(Written):
    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        mask = self.per_head(mask, x)
        some = None if mask is None else mask.any(dim=-1, keepdim=True)
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if mask is None else mask | ~some, dropout_p=p
        )
        return self.out(self.join(y if mask is None else y * some))


@same_bug_as("DropsWeightsInEvaluationToo")
class FusedWithDropoutAlways(Written):
    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        mask = self.per_head(mask, x)
        some = None if mask is None else mask.any(dim=-1, keepdim=True)
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if mask is None else mask | ~some, dropout_p=self.dropout
        )
        return self.drop_output(self.out(self.join(y if mask is None else y * some)))


@same_bug_as("DropsInEvaluationToo")
class NewDropoutsOnEachCall(Written):
    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        weights = self.weigh(q, k, self.per_head(mask, x))
        y = self.out(self.join(nn.Dropout(self.dropout)(weights) @ v))
        return nn.Dropout(self.dropout)(y)


@same_bug_as("DropsBeforeTheOutputLayer")
class DropsMergedHeads(Written):
    def forward(self, x, mask=None):
        q, k, v = self.cut(self.qkv(x))
        weights = self.weigh(q, k, self.per_head(mask, x))
        return self.out(self.drop_output(self.join(self.drop(weights) @ v)))


@same_bug_as("KeepsWhatItShouldDrop")
class KeepProbability(Written):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__(d_model, n_heads, bias=bias, dropout=1 - dropout if dropout > 0 else 0)


@same_bug_as("AssertsThatHeadsDivide")
class AssertsFirst(Written):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        assert d_model % n_heads == 0
        super().__init__(d_model, n_heads, bias=bias, dropout=dropout)


@same_bug_as("AnswersEmptyQueriesWithNan")
class FillsWithInfinity(Written):
    def weigh(self, q, k, mask):
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = torch.where(mask, scores, float("-inf"))
        return F.softmax(scores, dim=-1)


@same_bug_as("MasksAfterSoftmax")
class MultipliesByTheMask(Written):
    def weigh(self, q, k, mask):
        weights = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1)
        return weights if mask is None else weights * mask


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("takes_the_number_for_the_width")
def takes_the_number_for_the_width(x, n_heads):
    d_model = x.shape[-1]
    if d_model % n_heads:
        raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
    return x.unflatten(-1, (d_model // n_heads, n_heads)).transpose(-3, -2)


@same_bug_as("drops_what_does_not_fit")
def drops_what_does_not_fit(x, n_heads):
    d_head = x.shape[-1] // n_heads
    return x[..., : n_heads * d_head].unflatten(-1, (n_heads, d_head)).transpose(-3, -2)


@same_bug_as("DealsChannelsOneByOneButJoinsBlocks")
class DealsChannelsOneByOneButJoinsBlocks(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        n_texts, n_tokens, d_model = x.shape
        shape = (n_texts, n_tokens, d_model // self.n_heads, self.n_heads)
        q, k, v = (a.reshape(shape).permute(0, 3, 1, 2) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("UsesKeysAsValues")
class UsesKeysAsValues(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, _ = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        v = k
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("ScalesByTheNumberOfHeads")
class ScalesByTheNumberOfHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        scaled = q * math.sqrt(q.shape[-1] / self.n_heads)
        _, weights = masked_attention(scaled, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("SoftmaxOverTheHeads")
class SoftmaxOverTheHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=1)
        weights = weights if mask is None else weights.masked_fill(~mask, 0.0)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("UsesTheFirstTextsMask")
class UsesTheFirstTextsMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = mask[0] if mask is not None and mask.dim() == 3 else mask
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("HasNoOutputLayer")
class HasNoOutputLayer(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(merge_heads(self.dropout(weights) @ v))


@same_bug_as("KeepsTheBiasOfOut")
class KeepsTheBiasOfOut(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("IgnoresBias")
class IgnoresBias(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("HasThreeLayers")
class HasThreeLayers(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        layers = (self.query, self.key, self.value)
        q, k, v = (split_heads(layer(x), self.n_heads) for layer in layers)
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("DropsNothing")
class DropsNothing(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.out(merge_heads(weights @ v))


@same_bug_as("DividesWithoutLooking")
class DividesWithoutLooking(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        shape = (len(x), x.shape[1], self.n_heads, -1)
        q, k, v = (a.reshape(shape).transpose(1, 2) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("MakesTheMaskOnTheCpu")
class MakesTheMaskOnTheCpu(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        everything = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
        mask = everything if mask is None else mask.unsqueeze(-3) & everything
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@same_bug_as("ChangesTheMask")
class ChangesTheMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if mask is not None:
            hidden = mask.unsqueeze(-3).logical_not_()
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        weights = weights if mask is None else weights.masked_fill(hidden, 0.0)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))
