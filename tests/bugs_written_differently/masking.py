"""The bugs of lesson 3 in other words."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import SelfAttention
from course_lib.transformer.masking import causal_mask

from . import same_bug_as

# --- causal_mask -----------------------------------------------------------------------------


@same_bug_as("hides_the_diagonal")
def tril_of_minus_one(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    mask = torch.tril(torch.ones(n_keys, n_keys, device=device), -1) == 1
    return mask[n_keys - n_queries :]


@same_bug_as("lets_the_next_key_in")
def one_position_late(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    positions = torch.arange(1, n_keys + 1, device=device)
    return torch.arange(n_keys, device=device) <= positions[-n_queries:].unsqueeze(1)


@same_bug_as("inverts_the_causal_mask")
def what_is_hidden(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    positions = torch.arange(n_keys, device=device)
    return positions[None, :] > positions[n_keys - n_queries :, None]


@same_bug_as("aligns_the_queries_with_the_first_keys")
def first_rows_of_the_square(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    positions = torch.arange(n_keys, device=device)
    return (positions[:, None] >= positions)[:n_queries]


@same_bug_as("hides_the_cached_keys")
def false_on_the_left(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    square = torch.ones(n_queries, n_queries, dtype=torch.bool, device=device).tril()
    return F.pad(square, (n_keys - n_queries, 0))


@same_bug_as("makes_an_additive_mask")
def infinity_where_hidden(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}")
    positions = torch.arange(n_keys, device=device)
    allowed = positions <= positions[-n_queries:, None]
    return torch.zeros(n_queries, n_keys, device=device).masked_fill(~allowed, float("-inf"))


# --- padding_mask ----------------------------------------------------------------------------


@same_bug_as("inverts_the_padding_mask")
def marks_the_filling(lengths, n_keys):
    mask = torch.ones(len(lengths), 1, n_keys, dtype=torch.bool, device=lengths.device)
    for text, length in enumerate(lengths.tolist()):
        if length < 0 or length > n_keys:
            raise ValueError(f"lengths[{text}] is {length}, n_keys is {n_keys}")
        mask[text, :, :length] = False
    return mask


@same_bug_as("shows_the_first_padding_key")
def up_to_and_including(lengths, n_keys):
    mask = torch.zeros(len(lengths), 1, n_keys, dtype=torch.bool, device=lengths.device)
    for text, length in enumerate(lengths.tolist()):
        if length < 0 or length > n_keys:
            raise ValueError(f"lengths[{text}] is {length}, n_keys is {n_keys}")
        mask[text, :, : length + 1] = True
    return mask


@same_bug_as("masks_the_queries")
def rows_of_padding(lengths, n_keys):
    mask = torch.zeros(len(lengths), n_keys, 1, dtype=torch.bool, device=lengths.device)
    for text, length in enumerate(lengths.tolist()):
        if length < 0 or length > n_keys:
            raise ValueError(f"lengths[{text}] is {length}, n_keys is {n_keys}")
        mask[text, :length] = True
    return mask


@same_bug_as("accepts_impossible_lengths")
def lengths_pressed_into_range(lengths, n_keys):
    positions = torch.arange(1, n_keys + 1, device=lengths.device)
    return (positions <= lengths.clamp(0, n_keys).unsqueeze(-1)).unsqueeze(1)


# --- masked_softmax --------------------------------------------------------------------------


@same_bug_as("hides_with_a_score_of_zero")
def one_billionth(scores, mask):
    return torch.softmax(torch.where(mask, scores, 1e-9), dim=-1)


@same_bug_as("masks_after_softmax")
def product_after_softmax(scores, mask):
    return F.softmax(scores, dim=-1) * mask


@same_bug_as("shares_an_empty_row_evenly")
def infinity_but_not_for_empty_rows(scores, mask):
    seen = mask.any(dim=-1, keepdim=True)
    filled = torch.where(mask, scores, torch.where(seen, -math.inf, 0.0).to(scores.dtype))
    return filled.softmax(dim=-1)


@same_bug_as("gives_nan_on_an_empty_row")
def where_or_infinity(scores, mask):
    return F.softmax(torch.where(mask, scores, float("-inf")), dim=-1)


@same_bug_as("hides_the_allowed_keys")
def visible_keys_dropped(scores, mask):
    weights = torch.where(mask, -math.inf, scores).softmax(dim=-1)
    return torch.where(mask, 0.0, weights)


@same_bug_as("throws_the_masked_scores_away")
def mask_never_used(scores, mask):
    exponentials = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


@same_bug_as("masks_the_scores_in_place")
def written_through_an_index(scores, mask):
    scores[~mask.expand_as(scores)] = torch.finfo(scores.dtype).min
    return F.softmax(scores, dim=-1) * mask


# --- masked_attention ------------------------------------------------------------------------


@same_bug_as("attends_where_it_must_not")
def filled_where_true(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    if mask is None:
        weights = torch.softmax(scores, dim=-1)
    else:
        weights = torch.softmax(scores.masked_fill(mask, torch.finfo(q.dtype).min), dim=-1)
        weights = weights.masked_fill(mask, 0.0)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@same_bug_as("hides_keys_after_softmax")
def weights_times_mask(q, k, v, mask=None):
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, dim=-1)
    weights = weights if mask is None else weights * mask
    return torch.einsum("...ts,...se->...te", weights, v), weights


@same_bug_as("answers_an_empty_query_with_nan")
def where_the_mask_or_infinity(q, k, v, mask=None):
    scores = q @ k.mT * q.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf)
    weights = F.softmax(scores, dim=-1)
    return torch.matmul(weights, v), weights


# --- CausalSelfAttention ---------------------------------------------------------------------


@same_bug_as("SeesTheWholeText")
class FusedWithoutIsCausal(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


@same_bug_as("SeesOnlyTheFuture")
class KeepsWhatTriuKeeps(SelfAttention):
    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT / self.key(x).shape[-1] ** 0.5
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(~future, torch.finfo(x.dtype).min).softmax(dim=-1)
        return weights.masked_fill(~future, 0.0) @ self.value(x)


@same_bug_as("HidesTheFutureInTrainingOnly")
class FusedCausalWhileTraining(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.training)


@same_bug_as("HidesTheFutureAfterSoftmax")
class CausalProductAfterSoftmax(SelfAttention):
    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT / self.key(x).shape[-1] ** 0.5
        mask = causal_mask(x.shape[-2], device=x.device)
        return (scores.softmax(dim=-1) * mask) @ self.value(x)


# --- future_influence ------------------------------------------------------------------------


@same_bug_as("swaps_outputs_and_inputs")
def rows_are_inputs(fn, x):
    jacobian = torch.func.jacrev(fn)(x.detach()).detach()
    return torch.einsum("t...sc->st", jacobian**2).sqrt()


@same_bug_as("sums_the_outputs_first")
def gradient_of_the_row_sum(fn, x):
    x = x.detach().clone().requires_grad_()
    outputs = fn(x).flatten(1) if fn(x).dim() > 1 else fn(x)[:, None]
    rows = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0] for row in outputs]
    return torch.stack([row.norm(dim=-1) for row in rows])


@same_bug_as("forgets_the_square_root")
def sum_of_squares(fn, x):
    jacobian = torch.func.jacrev(fn)(x.detach()).detach()
    return torch.einsum("t...sc->ts", jacobian**2)


@same_bug_as("erases_the_future")
def only_up_to_the_diagonal(fn, x):
    x = x.detach()
    influence = torch.zeros(len(x), len(x), dtype=x.dtype, device=x.device)
    jacobian = torch.func.jacrev(fn)(x).detach()
    for t in range(len(x)):
        for s in range(t + 1):
            influence[t, s] = jacobian[t].select(-2, s).norm()
    return influence
