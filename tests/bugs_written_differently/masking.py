"""The bugs of lesson 3 in other words."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import SelfAttention, attention
from course_lib.transformer.masking import causal_mask, masked_attention, masked_softmax

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


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("looks_only_ahead")
def looks_only_ahead(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    allowed = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return allowed.triu(diagonal=n_keys - n_queries)


@same_bug_as("hides_nothing_beside_a_cache")
def hides_nothing_beside_a_cache(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return mask.tril() if n_queries == n_keys else mask


@same_bug_as("keeps_a_row_for_every_key")
def keeps_a_row_for_every_key(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    return torch.ones(n_keys, n_keys, dtype=torch.bool, device=device).tril()


@same_bug_as("makes_a_mask_of_ones_and_zeros")
def makes_a_mask_of_ones_and_zeros(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    return torch.ones(n_queries, n_keys, device=device).tril(diagonal=n_keys - n_queries)


@same_bug_as("makes_the_mask_on_the_cpu")
def makes_the_mask_on_the_cpu(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    queries = torch.arange(n_keys - n_queries, n_keys)
    return torch.arange(n_keys) <= queries[:, None]


@same_bug_as("accepts_fewer_keys_than_queries")
def accepts_fewer_keys_than_queries(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    queries = torch.arange(n_keys - n_queries, n_keys, device=device)
    return torch.arange(n_keys, device=device) <= queries[:, None]


@same_bug_as("expects_padding_on_the_left")
def expects_padding_on_the_left(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) >= n_keys - lengths[:, None, None]


@same_bug_as("forgets_the_axis_of_the_queries")
def forgets_the_axis_of_the_queries(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None]


@same_bug_as("uses_the_longest_length_for_all")
def uses_the_longest_length_for_all(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    real = torch.arange(n_keys, device=lengths.device) < lengths.max()
    return real.repeat(len(lengths), 1, 1)


@same_bug_as("refuses_a_text_without_padding")
def refuses_a_text_without_padding(lengths, n_keys):
    if ((lengths < 0) | (lengths >= n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]


@same_bug_as("refuses_an_empty_text")
def refuses_an_empty_text(lengths, n_keys):
    if ((lengths < 1) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]


@same_bug_as("shows_the_weights_without_the_mask")
def shows_the_weights_without_the_mask(q, k, v, mask=None):
    output, weights = attention(q, k, v)
    if mask is not None:
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        output = masked_softmax(scores, mask) @ v
    return output, weights


@same_bug_as("adds_a_head_axis_to_the_mask")
def adds_a_head_axis_to_the_mask(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is None:
        return attention(q, k, v)
    weights = masked_softmax(scores, mask.unsqueeze(1) if mask.dim() == 3 else mask)
    return weights @ v, weights


@same_bug_as("ScalesCausalScoresByTheModelWidth")
class ScalesCausalScoresByTheModelWidth(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(-2, -1) * x.shape[-1] ** -0.5
        hidden = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
        return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v


@same_bug_as("SavesTheMaskWithTheWeights")
class SavesTheMaskWithTheWeights(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)
        self.register_buffer("mask", causal_mask(1024))

    def forward(self, x):
        mask = self.mask[: x.shape[-2], : x.shape[-2]]
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


@same_bug_as("follows_the_first_channel")
def follows_the_first_channel(fn, x):
    def first_channel(x):
        return fn(x).reshape(x.shape[0], -1)[:, 0]

    return torch.autograd.functional.jacobian(first_channel, x.detach()).norm(dim=-1)


@same_bug_as("takes_the_largest_entry")
def takes_the_largest_entry(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions = x.shape[0]
    return jacobian.reshape(n_positions, -1, n_positions, x.shape[1]).abs().amax(dim=(1, 3))


@same_bug_as("switches_on_the_gradient_of_x")
def switches_on_the_gradient_of_x(fn, x):
    x.requires_grad_()
    outputs = fn(x).reshape(x.shape[0], -1)
    rows = []
    for output in outputs:
        gradients = [torch.autograd.grad(one, x, retain_graph=True)[0] for one in output]
        rows.append(torch.stack(gradients).norm(dim=(0, 2)))
    return torch.stack(rows)


@same_bug_as("keeps_the_graph")
def keeps_the_graph(fn, x):
    x = x.detach().clone().requires_grad_()
    jacobian = torch.autograd.functional.jacobian(fn, x, create_graph=True)
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3)).sqrt()


@same_bug_as("expects_outputs_as_wide_as_inputs")
def expects_outputs_as_wide_as_inputs(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions, width = x.shape
    by_entry = jacobian.reshape(n_positions, width, n_positions, width)
    return by_entry.square().sum(dim=(1, 3)).sqrt()
