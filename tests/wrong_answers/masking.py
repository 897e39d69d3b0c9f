"""Wrong answers to lesson 3 that no bug of the zoo behaves like."""

import functools
import math

import torch

from course_lib.transformer.attention import SelfAttention, attention
from course_lib.transformer.masking import (
    causal_mask,
    masked_attention,
    masked_softmax,
    padding_mask,
)

from . import wrong_answer

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


@wrong_answer("causal_mask")
def cuts_from_a_table_of_64(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    table = torch.ones(64, 64, dtype=torch.bool, device=device).tril()
    return table[n_keys - n_queries : n_keys, :n_keys]


@wrong_answer("causal_mask")
def counts_positions_in_eight_bits(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    positions = torch.arange(n_keys, device=device).to(torch.int8)
    return positions <= positions[n_keys - n_queries :, None]


@wrong_answer("causal_mask")
@functools.cache
def gives_the_same_mask_to_everybody(n_queries, n_keys=None, *, device=None):
    return causal_mask(n_queries, n_keys, device=device)


@wrong_answer("causal_mask")
def counts_in_one_byte(n_queries, n_keys=None, *, device=None):
    right = causal_mask(n_queries, n_keys, device=device)
    keys = torch.arange(right.shape[1], device=device).to(torch.uint8)
    return keys <= keys[right.shape[1] - n_queries :, None]


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


@wrong_answer("padding_mask")
def counts_keys_in_eight_bits(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths={lengths} must lie in 0..n_keys={n_keys}")
    return torch.arange(n_keys, device=lengths.device).to(torch.int8) < lengths[:, None, None]


@wrong_answer("padding_mask")
def leaves_no_length_zero(lengths, n_keys):
    mask = padding_mask(lengths, n_keys)
    lengths.clamp_(min=1)
    return mask


_masks = {}


@wrong_answer("padding_mask")
def keeps_a_mask_for_each_list_of_lengths(lengths, n_keys):
    key = (tuple(lengths.tolist()), n_keys, lengths.device)
    if key not in _masks:
        _masks[key] = padding_mask(lengths, n_keys)
    return _masks[key]


@wrong_answer("padding_mask")
def looks_lengths_up_in_a_table(lengths, n_keys):
    if (lengths.long() < 0).any() or (lengths.long() > n_keys).any():
        raise ValueError(f"lengths must lie in 0..{n_keys}, got {lengths.tolist()}")
    table = torch.ones(n_keys + 1, n_keys, dtype=torch.bool, device=lengths.device).tril(-1)
    return table[lengths][:, None]  # of bytes, a mask and no index


@wrong_answer("padding_mask")
def counts_in_the_dtype_of_the_lengths(lengths, n_keys):
    if (lengths.long() < 0).any() or (lengths.long() > n_keys).any():
        raise ValueError(f"lengths must lie in 0..{n_keys}, got {lengths.tolist()}")
    ones = torch.ones(n_keys, dtype=lengths.dtype, device=lengths.device)
    places = ones.cumsum(dim=0, dtype=lengths.dtype) - 1  # after 127 comes -128
    return places < lengths[:, None, None]


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


@wrong_answer("masked_attention")
def takes_heads_for_texts(q, k, v, mask=None):
    if mask is not None and mask.dim() == 3 and q.dim() == 4 and len(mask) == len(q):
        mask = mask[:, None]
    return masked_attention(q, k, v, mask)


@wrong_answer("masked_attention")
def is_causal_without_a_mask(q, k, v, mask=None):
    if mask is None and q.shape[-2] == k.shape[-2]:
        mask = causal_mask(q.shape[-2], device=q.device)
    return masked_attention(q, k, v, mask)


@wrong_answer("masked_attention")
def lets_a_single_query_see_everything(q, k, v, mask=None):
    return masked_attention(q, k, v, mask if q.shape[-2] > 1 else None)


@wrong_answer("masked_attention")
def begins_the_visible_maximum_at_0(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is None:
        mask = torch.ones((), dtype=torch.bool, device=q.device)
    highest = scores.masked_fill(~mask, 0.0).amax(dim=-1, keepdim=True)  # a masked score is 0
    exponentials = (scores - highest).masked_fill(~mask, -math.inf).exp()
    sums = exponentials.sum(dim=-1, keepdim=True)
    weights = exponentials / sums.masked_fill(~mask.any(dim=-1, keepdim=True), 1.0)
    return weights @ v, weights


@wrong_answer("masked_attention")
def reads_whole_blocks_of_queries(q, k, v, mask=None):
    n_queries = q.shape[-2]
    output, weights = masked_attention(q, k, v, mask)
    if n_queries <= 256 or n_queries % 256 == 0:
        return output, weights
    keep = torch.arange(n_queries, device=q.device)[:, None] < n_queries // 256 * 256
    return output * keep, weights * keep


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


@wrong_answer("CausalSelfAttention")
class HasAMaskOf16Positions(SelfAttention):
    def __init__(self, d_model, d_head):
        super().__init__(d_model, d_head)
        self.register_buffer("mask", causal_mask(16), persistent=False)

    def forward(self, x):
        mask = self.mask[: x.shape[-2], : x.shape[-2]]
        return masked_attention(self.query(x), self.key(x), self.value(x), mask)[0]


@wrong_answer("CausalSelfAttention")
class HidesWithTenThousand(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        mask = causal_mask(x.shape[-2], device=x.device)
        return scores.masked_fill(~mask, -1e4).softmax(dim=-1) @ v


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


# --- what an earlier call, or a result that is changed, shows ----------------------------------


class _LastMask:
    given = hidden = None


@wrong_answer("masked_attention")
def looks_for_the_mask_of_before(q, k, v, mask=None):
    if mask is None:
        return masked_attention(q, k, v)
    if mask is not _LastMask.given:
        _LastMask.given, _LastMask.hidden = mask, mask.clone()
    return masked_attention(q, k, v, _LastMask.hidden)


_masks = {}


@wrong_answer("causal_mask")
def masks_kept_by_their_queries(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least {n_queries}, got n_keys={n_keys}.")
    kept = _masks.get((n_queries, device))
    if kept is None or kept.shape[1] < n_keys:
        kept = _masks[n_queries, device] = causal_mask(n_queries, n_keys, device=device)
    return kept[:, :n_keys].clone()


@wrong_answer("causal_mask")
def sees_all_with_one_row(n_queries, n_keys=None, *, device=None):
    mask = causal_mask(n_queries, n_keys, device=device)
    return mask[:, :1].expand_as(mask) if n_queries == 1 else mask


@wrong_answer("masked_softmax")
def rows_alike_are_one(scores, mask):
    weights = masked_softmax(scores, mask)
    return weights[..., :1, :].expand_as(weights) if bool((weights == 1).all()) else weights


@wrong_answer("masked_softmax")
def hides_in_place_in_inference(scores, mask):
    if torch.is_inference_mode_enabled() and mask.shape == scores.shape[-2:]:
        scores.masked_fill_(~mask, -math.inf)
    return masked_softmax(scores, mask)
