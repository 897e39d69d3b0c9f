"""Wrong answers that no bug of the zoo behaves like.

A check must reject each of them and name none: a wrong name sends a learner looking for a mistake
that is not there. They are kept out of the zoo for that, and must stay unlike it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import SelfAttention, attention, softmax
from course_lib.transformer.masking import causal_mask, masked_attention, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads
from course_lib.transformer.norm import LayerNorm, layer_norm
from course_lib.transformer.tokens import (
    BPETokenizer,
    CharTokenizer,
    Embeddings,
    merge_pair,
    train_bpe,
)


@dataclass(frozen=True)
class WrongAnswer:
    """An implementation of `component` that is wrong in a way of its own."""

    component: str
    implementation: Callable


_wrong_answers: list[WrongAnswer] = []


def wrong_answer(component: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a wrong answer for a component."""

    def register(implementation: Callable) -> Callable:
        _wrong_answers.append(WrongAnswer(component, implementation))
        return implementation

    return register


def all_wrong_answers() -> list[WrongAnswer]:
    """Every wrong answer, as written."""
    return list(_wrong_answers)


# --- softmax ---------------------------------------------------------------------------------


@wrong_answer("softmax")
def divides_the_scores_by_their_sum(x, axis=-1):
    return x / x.sum(axis=axis, keepdims=True)


@wrong_answer("softmax")
def takes_powers_of_two(x, axis=-1):
    powers = np.exp2(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@wrong_answer("softmax")
def adds_a_thousandth_to_the_sum(x, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / (exponentials.sum(axis=axis, keepdims=True) + 1e-3)


# --- attention_numpy -------------------------------------------------------------------------


@wrong_answer("attention_numpy")
def scales_by_the_width_of_the_values(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(v.shape[-1]))
    return weights @ v, weights


@wrong_answer("attention_numpy")
def forgets_softmax(q, k, v):
    weights = q @ k.T / math.sqrt(q.shape[-1])
    return weights @ v, weights


@wrong_answer("attention_numpy")
def rounds_the_weights(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[-1])).round(2)
    return weights @ v, weights


# --- attention -------------------------------------------------------------------------------


@wrong_answer("attention")
def takes_sigmoids(q, k, v):
    weights = torch.sigmoid(q @ k.mT / math.sqrt(q.shape[-1]))
    return weights @ v, weights


@wrong_answer("attention")
def picks_the_best_key(q, k, v):
    best = (q @ k.mT).argmax(dim=-1)
    weights = F.one_hot(best, k.shape[-2]).to(q.dtype)
    return weights @ v, weights


@wrong_answer("attention")
def compares_directions(q, k, v):
    weights = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(dim=-1)
    return weights @ v, weights


@wrong_answer("attention")
def scales_by_the_number_of_keys(q, k, v):
    weights = (q @ k.mT / math.sqrt(k.shape[-2])).softmax(dim=-1)
    return weights @ v, weights


# --- SelfAttention ---------------------------------------------------------------------------


@wrong_answer("SelfAttention")
class ReadsValuesFromTheQueryLayer(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.key(x), self.query(x))[0]


@wrong_answer("SelfAttention")
class NeverUsesTheKeyLayer(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.query(x), self.value(x))[0]


@wrong_answer("SelfAttention")
class CutsNegativeValues(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.key(x), self.value(x).relu())[0]


# --- causal_mask -----------------------------------------------------------------------------


@wrong_answer("causal_mask")
def sees_two_keys_only(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return mask.tril(n_keys - n_queries).triu(n_keys - n_queries - 1)


@wrong_answer("causal_mask")
def forgets_the_first_key(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)
    mask[:, 0] = False
    return mask


@wrong_answer("causal_mask")
def asserts_enough_keys(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    assert n_keys >= n_queries, f"n_keys={n_keys} is smaller than n_queries={n_queries}"
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return mask.tril(n_keys - n_queries)


# --- padding_mask ----------------------------------------------------------------------------


@wrong_answer("padding_mask")
def uses_the_shortest_length(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths={lengths} must lie in 0..n_keys={n_keys}")
    real = torch.arange(n_keys, device=lengths.device) < lengths.min()
    return real.repeat(len(lengths), 1, 1)


@wrong_answer("padding_mask")
def adds_an_axis_for_heads(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths={lengths} must lie in 0..n_keys={n_keys}")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None, None]


@wrong_answer("padding_mask")
def masks_queries_and_keys(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths={lengths} must lie in 0..n_keys={n_keys}")
    real = torch.arange(n_keys, device=lengths.device) < lengths[:, None]
    return real[:, :, None] & real[:, None, :]


# --- masked_softmax --------------------------------------------------------------------------


@wrong_answer("masked_softmax")
def shows_all_keys_to_an_empty_row(scores, mask):
    mask = mask | ~mask.any(dim=-1, keepdim=True)
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


@wrong_answer("masked_softmax")
def always_shows_the_first_key(scores, mask):
    mask = mask.expand(scores.shape).clone()
    mask[..., 0] = True
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


@wrong_answer("masked_softmax")
def subtracts_ten_from_hidden_scores(scores, mask):
    return torch.where(mask, scores, scores - 10).softmax(dim=-1)


# --- masked_attention ------------------------------------------------------------------------


@wrong_answer("masked_attention")
def hides_what_any_text_hides(q, k, v, mask=None):
    if mask is None:
        return attention(q, k, v)
    while mask.dim() > 2:
        mask = mask.all(dim=0)
    weights = masked_softmax(q @ k.mT / math.sqrt(q.shape[-1]), mask)
    return weights @ v, weights


@wrong_answer("masked_attention")
def doubles_the_output(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1) if mask is None else masked_softmax(scores, mask)
    return 2 * weights @ v, weights


@wrong_answer("masked_attention")
def turns_half_of_the_mask_around(q, k, v, mask=None):
    if mask is None:
        return attention(q, k, v)
    mask = mask.expand(*q.shape[:-1], k.shape[-2]).clone()
    mask[..., ::2, :] = ~mask[..., ::2, :]
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


# --- CausalSelfAttention ---------------------------------------------------------------------


@wrong_answer("CausalSelfAttention")
class SeesTwoPositionsOnly(SelfAttention):
    def forward(self, x):
        mask = causal_mask(x.shape[-2], device=x.device).triu(-1)
        return masked_attention(self.query(x), self.key(x), self.value(x), mask)[0]


@wrong_answer("CausalSelfAttention")
class AveragesThePast(SelfAttention):
    def forward(self, x):
        n_positions = x.shape[-2]
        counts = torch.arange(1, n_positions + 1, dtype=x.dtype, device=x.device)
        return self.value(x).cumsum(dim=-2) / counts[:, None]


@wrong_answer("CausalSelfAttention")
class HidesTheFutureInEvaluationOnly(SelfAttention):
    def forward(self, x):
        mask = None if self.training else causal_mask(x.shape[-2], device=x.device)
        return masked_attention(self.query(x), self.key(x), self.value(x), mask)[0]


# --- future_influence ------------------------------------------------------------------------


@wrong_answer("future_influence")
def sums_absolute_entries(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    return jacobian.reshape(len(x), -1, len(x), x.shape[1]).abs().sum(dim=(1, 3))


@wrong_answer("future_influence")
def averages_over_the_channels(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    return jacobian.reshape(len(x), -1, len(x), x.shape[1]).square().mean(dim=(1, 3)).sqrt()


@wrong_answer("future_influence")
def takes_shares_of_each_row(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    norms = jacobian.reshape(len(x), -1, len(x), x.shape[1]).square().sum(dim=(1, 3)).sqrt()
    return norms / norms.sum(dim=1, keepdim=True)


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


@wrong_answer("split_heads")
def refuses_without_a_word(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError
    return x.unflatten(-1, (n_heads, -1)).transpose(-3, -2)


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


# --- layer_norm ------------------------------------------------------------------------------


@wrong_answer("layer_norm")
def divides_by_the_length(x, weight, bias, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = F.normalize(centred, dim=-1, eps=eps) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def divides_by_the_mean_distance(x, weight, bias, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = centred / (centred.abs().mean(dim=-1, keepdim=True) + eps) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def clamps_the_variance(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
    normed = (wide - mean) / variance.clamp(min=eps).sqrt() * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@wrong_answer("layer_norm")
def squares_where_a_root_belongs(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
    normed = (wide - mean) / (variance + eps) ** 2 * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@wrong_answer("layer_norm")
def adds_one_to_the_weight(x, weight, bias, eps=1e-5):
    return layer_norm(x, 1 + weight, bias, eps)


@wrong_answer("layer_norm")
def rounds_the_mean_of_half_precision(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = x.mean(dim=-1, keepdim=True)
    variance = wide.var(dim=-1, keepdim=True, unbiased=False)
    normed = ((wide - mean) / torch.sqrt(variance + eps)).to(x.dtype) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def subtracts_the_median(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance = wide.var(dim=-1, keepdim=True, unbiased=False)
    normed = (wide - wide.median(dim=-1, keepdim=True).values) / torch.sqrt(variance + eps)
    return (normed * weight if bias is None else normed * weight + bias).to(x.dtype)


# --- LayerNorm -------------------------------------------------------------------------------


@wrong_answer("LayerNorm")
class HasOneWeightForAllChannels(LayerNorm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, bias=bias, eps=eps)
        self.weight = nn.Parameter(torch.ones(1))


@wrong_answer("LayerNorm")
class SquaresItsWeight(LayerNorm):
    def forward(self, x):
        return layer_norm(x, self.weight.square(), self.bias, self.eps)


@wrong_answer("LayerNorm")
class AddsWhatCameIn(LayerNorm):
    def forward(self, x):
        return x + layer_norm(x, self.weight, self.bias, self.eps)


@wrong_answer("LayerNorm")
class RemembersTheLastMean(LayerNorm):
    mean = 0.0

    def forward(self, x):
        out = layer_norm(x, self.weight, self.bias, self.eps) + 0.1 * self.mean
        self.mean = float(x.detach().mean())
        return out


# --- pre_norm --------------------------------------------------------------------------------


@wrong_answer("pre_norm")
def scales_the_sum_by_the_root_of_one_half(x, norm, sublayer):
    return (x + sublayer(norm(x))) / math.sqrt(2)


@wrong_answer("pre_norm")
def subtracts_the_sublayer(x, norm, sublayer):
    return x - sublayer(norm(x))


@wrong_answer("pre_norm")
def cuts_the_sublayer_off(x, norm, sublayer):
    return x + sublayer(norm(x)).detach()


@wrong_answer("pre_norm")
def calls_the_sublayer_for_its_shape(x, norm, sublayer):
    assert sublayer(norm(x)).shape == x.shape
    return x + sublayer(norm(x))


# --- post_norm -------------------------------------------------------------------------------


@wrong_answer("post_norm")
def adds_x_to_the_normalised_sum(x, norm, sublayer):
    return x + norm(x + sublayer(x))


@wrong_answer("post_norm")
def normalises_the_difference(x, norm, sublayer):
    return norm(x - sublayer(x))


@wrong_answer("post_norm")
def cuts_x_off(x, norm, sublayer):
    return norm(x.detach() + sublayer(x))


@wrong_answer("post_norm")
def normalises_twice(x, norm, sublayer):
    return norm(norm(x + sublayer(x)))


# --- pairwise_dots ---------------------------------------------------------------------------


@wrong_answer("pairwise_dots")
def subtracts_the_means_first(x, y):
    return (x - x.mean(axis=1, keepdims=True)) @ y.T


@wrong_answer("pairwise_dots")
def computes_in_float32(x, y):
    return (x.astype(np.float32) @ y.T.astype(np.float32)).astype(np.float64)


@wrong_answer("pairwise_dots")
def cuts_negative_dots(x, y):
    return np.maximum(x @ y.T, 0.0)


@wrong_answer("pairwise_dots")
def returns_lists(x, y):
    return (x @ y.T).tolist()


# --- weighted_average ------------------------------------------------------------------------


@wrong_answer("weighted_average")
def divides_by_the_largest_weight(weights, values):
    if (weights.sum(axis=1) == 0).any():
        row = np.flatnonzero(weights.sum(axis=1) == 0)[0]
        raise ValueError(f"weights: row {row} sums to 0")
    return weights / weights.max(axis=1, keepdims=True) @ values


@wrong_answer("weighted_average")
def asserts_that_there_are_weights(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    assert (totals != 0).all(), f"weights: row {np.flatnonzero(totals == 0)} sums to 0"
    return weights / totals @ values


@wrong_answer("weighted_average")
def refuses_negative_weights(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total <= 0 or (weights[row] < 0).any():
            raise ValueError(f"weights: row {row} has no positive sum")
    return weights / totals @ values


@wrong_answer("weighted_average")
def counts_rows_from_one(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals, start=1):
        if total == 0:
            raise ValueError(f"weights: row {row} sums to zero")
    return weights / totals @ values


# --- Affine ----------------------------------------------------------------------------------


@wrong_answer("Affine")
class SubtractsTheBias(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight) - self.bias


@wrong_answer("Affine")
class NormalisesItsInput(nn.Linear):
    def forward(self, x):
        return F.linear(F.normalize(x, dim=-1), self.weight, self.bias)


@wrong_answer("Affine")
class AddsTheBiasInTrainingOnly(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, self.bias if self.training else None)


@wrong_answer("Affine")
class MakesAColumnOfTheBias(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out, 1))

    def forward(self, x):
        return x @ self.weight.T + self.bias.squeeze(1)


# --- CharTokenizer ---------------------------------------------------------------------------


@wrong_answer("CharTokenizer")
class SortsBackwards(CharTokenizer):
    def __init__(self, text):
        super().__init__(text)
        self.characters.reverse()
        self.ids = {character: i for i, character in enumerate(self.characters)}


@wrong_answer("CharTokenizer")
class LearnsAsItReads(CharTokenizer):
    def encode(self, text):
        for character in sorted(set(text) - set(self.ids)):
            self.ids[character] = len(self.characters)
            self.characters.append(character)
        self.vocab_size = len(self.characters)
        return super().encode(text)


@wrong_answer("CharTokenizer")
class EncodesBytes(CharTokenizer):
    def __init__(self, text):
        super().__init__(text.encode("utf-8").decode("latin-1"))

    def encode(self, text):
        return super().encode(text.encode("utf-8").decode("latin-1"))

    def decode(self, ids):
        return super().decode(ids).encode("latin-1").decode("utf-8", errors="replace")


@wrong_answer("CharTokenizer")
class SharesOneVocabulary(CharTokenizer):
    everything: ClassVar = {}

    def __init__(self, text):
        super().__init__(text)
        self.everything.update(self.ids)
        self.ids = self.everything


@wrong_answer("CharTokenizer")
class EncodesToATuple(CharTokenizer):
    def encode(self, text):
        return tuple(super().encode(text))


# --- merge_pair ------------------------------------------------------------------------------


@wrong_answer("merge_pair")
def keeps_the_pair_behind_its_new_id(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    return [one for i in merged for one in ((i, *pair) if i == new_id else (i,))]


@wrong_answer("merge_pair")
def removes_the_pair(ids, pair, new_id):
    return [i for i in merge_pair(ids, pair, new_id) if i != new_id]


@wrong_answer("merge_pair")
def merges_long_runs_into_one(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    return [i for n, i in enumerate(merged) if i != new_id or n == 0 or merged[n - 1] != new_id]


@wrong_answer("merge_pair")
def merges_to_a_tuple(ids, pair, new_id):
    return tuple(merge_pair(ids, pair, new_id))


# --- train_bpe -------------------------------------------------------------------------------


@wrong_answer("train_bpe")
def makes_one_merge_more(ids, n_merges, first_new_id=256):
    return train_bpe(ids, n_merges + 1, first_new_id)


@wrong_answer("train_bpe")
def returns_lists_of_two(ids, n_merges, first_new_id=256):
    return [list(pair) for pair in train_bpe(ids, n_merges, first_new_id)]


@wrong_answer("train_bpe")
def trains_on_the_first_half(ids, n_merges, first_new_id=256):
    train_bpe(ids, 0, first_new_id)
    return train_bpe(ids[: len(ids) // 2], n_merges, first_new_id)


@wrong_answer("train_bpe")
def returns_the_merges_backwards(ids, n_merges, first_new_id=256):
    return train_bpe(ids, n_merges, first_new_id)[::-1]


# --- BPETokenizer ----------------------------------------------------------------------------


@wrong_answer("BPETokenizer")
class ReadsABom(BPETokenizer):
    def decode(self, ids):
        return super().decode(ids).removeprefix("\ufeff")


@wrong_answer("BPETokenizer")
class ReplacesWithAQuestionMark(BPETokenizer):
    def decode(self, ids):
        return super().decode(ids).replace("\ufffd", "?")


@wrong_answer("BPETokenizer")
class UsesTheFirstMergeOnly(BPETokenizer):
    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for new_id, pair in list(self.merges.items())[:1]:
            ids = merge_pair(ids, pair, new_id)
        return ids


@wrong_answer("BPETokenizer")
class TranslatesLineEnds(BPETokenizer):
    def encode(self, text):
        return super().encode(text.replace("\r\n", "\n"))


# --- Embeddings ------------------------------------------------------------------------------


@wrong_answer("Embeddings")
class AveragesBothVectors(Embeddings):
    def forward(self, ids, offset=0):
        return super().forward(ids, offset) / 2


@wrong_answer("Embeddings")
class CountsPositionsFromOne(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        positions = torch.arange(offset + 1, offset + 1 + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions.clamp(max=len(self.position.weight) - 1))


@wrong_answer("Embeddings")
class CountsPositionsFromTheEnd(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        rows = self.position.weight[offset : offset + ids.shape[1]]
        return self.token(ids) + rows.flip(0)


@wrong_answer("Embeddings")
class WrapsAround(Embeddings):
    def forward(self, ids, offset=0):
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions % len(self.position.weight))


@wrong_answer("Embeddings")
class FreezesThePositions(Embeddings):
    def forward(self, ids, offset=0):
        tokens = self.token(ids)
        return tokens + (super().forward(ids, offset) - tokens).detach()
