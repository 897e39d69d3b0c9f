"""Implementations of `masked_attention` for `test_attention`: the zoo's, and others."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from course_lib.transformer.masking import masked_attention

from .. import bugs_of, find_bug
from . import faulty, from_the_zoo, right

TEST = "test_attention"


# --- right -----------------------------------------------------------------------------------


@right(TEST)
def ours(q, k, v, mask=None):
    return masked_attention(q, k, v, mask)


@right(TEST)
def by_the_fused_kernel(q, k, v, mask=None):
    unit = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device).expand(*k.shape[:-1], -1)
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, unit)
    empty = ~mask.any(dim=-1, keepdim=True)
    both = [F.scaled_dot_product_attention(q, k, x, attn_mask=mask | empty) for x in (v, unit)]
    return both[0].masked_fill(empty, 0.0), both[1].masked_fill(~mask, 0.0)


@right(TEST)
def by_exponentials(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q / math.sqrt(q.shape[-1]), k)
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    hidden = torch.zeros((), dtype=torch.bool) if mask is None else ~mask
    largest = wide.masked_fill(hidden, torch.finfo(wide.dtype).min).amax(dim=-1, keepdim=True)
    exponentials = (wide - largest).masked_fill(hidden, -math.inf).exp()
    weights = exponentials / exponentials.sum(dim=-1, keepdim=True).clamp(min=1e-30)
    weights = weights.to(q.dtype)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@right(TEST)
def key_by_key(q, k, v, mask=None):
    """The keys in turned order, with a mask that is added, and turned back."""
    scores = q.flip(-1) @ k.flip((-2, -1)).transpose(-2, -1) * q.shape[-1] ** -0.5
    wide = scores.double()
    if mask is not None:
        turned = mask.expand(*mask.shape[:-1], scores.shape[-1]).flip(-1)
        wide = wide + torch.zeros_like(turned, dtype=wide.dtype).masked_fill(~turned, -math.inf)
    weights = wide.softmax(dim=-1).nan_to_num(0.0).to(q.dtype)
    return weights @ v.flip(-2), weights.flip(-1)


@right(TEST)
def with_float32_inside_the_softmax(q, k, v, mask=None):
    """Scores are shifted in full precision; only their exponentials are rounded to float32."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    allowed = torch.ones((), dtype=torch.bool) if mask is None else mask
    scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    shifted = scores - scores.amax(dim=-1, keepdim=True)
    weights = shifted.float().softmax(dim=-1).to(q.dtype).masked_fill(~allowed, 0.0)
    return weights @ v, weights


# --- faulty ----------------------------------------------------------------------------------


for _bug in bugs_of("masked_attention"):
    from_the_zoo(TEST, _bug)

for _name in (
    "hides_with_a_score_of_zero",
    "renormalises_too_late",
    "hides_with_minus_ten_thousand",
    "throws_the_masked_scores_away",
    "adds_the_mask",
    "normalises_over_the_queries",
):
    from_the_zoo(TEST, find_bug(_name))  # bugs of `masked_softmax`

# The faulty scores of lesson 2, with the masks of lesson 3.
for _name in (
    "divides_by_the_width",
    "scales_for_a_width_of_64",
    "scales_by_the_number_of_queries",
    "reshapes_the_keys",
):
    _bug = find_bug(_name)
    from_the_zoo(TEST, replace(_bug, component="masked_attention", module="masking"))


@faulty(TEST, symptom="nan in a quiet text as soon as a loud one stands in the same batch.")
def subtracts_one_maximum(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    mask = torch.ones((), dtype=torch.bool) if mask is None else mask
    exponentials = (scores - scores.max()).exp().masked_fill(~mask, 0.0)
    weights = exponentials / exponentials.sum(dim=-1, keepdim=True)
    weights = weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
    return weights @ v, weights


@faulty(TEST, symptom="The weights are right, but what was gathered belongs to other queries.")
def transposes_square_weights(q, k, v, mask=None):
    _, weights = masked_attention(q, k, v, mask)
    is_square = weights.shape[-1] == weights.shape[-2]
    return (weights.mT if is_square else weights) @ v, weights


@faulty(TEST, symptom="All heads but the first gather what the first head looks for.")
def shares_the_weights_of_the_first_head(q, k, v, mask=None):
    _, weights = masked_attention(q, k, v, mask)
    if q.dim() > 3:
        weights = weights[:, :1].expand_as(weights)
    return weights @ v, weights


@faulty(TEST, symptom="Right to three digits in every dtype; float64 is no better than bfloat16.")
def rounds_the_weights(q, k, v, mask=None):
    _, weights = masked_attention(q, k, v, mask)
    weights = weights.bfloat16().to(q.dtype)
    return weights @ v, weights


@faulty(TEST, symptom="The last key of a text gets no weight, mask or no mask.")
def loses_the_last_key(q, k, v, mask=None):
    n_keys = k.shape[-2]
    all_but_the_last = torch.arange(n_keys) < max(1, n_keys - 1)
    return masked_attention(q, k, v, all_but_the_last if mask is None else mask & all_but_the_last)
