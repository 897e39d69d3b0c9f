"""The bugs of lesson 11 in other words."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.long_context import (
    GroupedQueryAttention,
    blockwise_attention,
    rotate,
    sliding_window_mask,
)
from course_lib.transformer.masking import causal_mask, masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads

from . import same_bug_as

# --- the three counters ----------------------------------------------------------------------


@same_bug_as("counts_half_of_the_operations")
def two_products_of_one_each(n_tokens, d_model):
    scores = n_tokens * n_tokens * d_model
    return scores + scores


@same_bug_as("counts_no_factor")
def pairs_times_channels(n_tokens, d_model):
    return sum(n_tokens * d_model for _ in range(1)) * n_tokens


@same_bug_as("squares_the_width")
def wide_matrices(n_tokens, d_model):
    return 2 * 2 * n_tokens * (d_model * d_model)


@same_bug_as("counts_the_linear_layers_too")
def whole_layer(n_tokens, d_model):
    projections = 4 * 2 * n_tokens * d_model * d_model
    return projections + 2 * 2 * n_tokens * n_tokens * d_model


@same_bug_as("writes_a_caret")
def exclusive_or(n_tokens, d_model):
    return (n_tokens * 4) ^ (d_model * 2)


@same_bug_as("counts_operations_in_a_float")
def by_true_division(n_tokens, d_model):
    return n_tokens**2 * d_model / 0.25


@same_bug_as("grows_with_the_length_alone")
def one_row(n_tokens, d_model):
    return n_tokens * d_model << 2


@same_bug_as("forgets_the_heads")
def one_table(n_tokens, n_heads, bytes_per_element):
    return bytes_per_element * pow(n_tokens, 2)


@same_bug_as("counts_one_row_of_weights")
def a_weight_a_token(n_tokens, n_heads, bytes_per_element):
    return math.prod([bytes_per_element, n_heads, n_tokens])


@same_bug_as("counts_weights_not_bytes")
def entries(n_tokens, n_heads, bytes_per_element):
    return math.prod((n_heads, n_tokens, n_tokens))


@same_bug_as("always_counts_four_bytes")
def float32(n_tokens, n_heads, bytes_per_element):
    return n_heads * n_tokens * n_tokens * np.dtype("float32").itemsize


@same_bug_as("counts_the_triangle")
def lower_triangle(n_tokens, n_heads, bytes_per_element):
    return bytes_per_element * n_heads * (n_tokens**2 + n_tokens) // 2


@same_bug_as("returns_mebibytes")
def in_mib(n_tokens, n_heads, bytes_per_element):
    return bytes_per_element * n_heads * n_tokens * n_tokens / 1024 / 1024


@same_bug_as("counts_keys_alone")
def one_of_the_two(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    shape = (batch_size, n_kv_heads, n_tokens, d_head)
    return n_layers * math.prod(shape) * bytes_per_element


@same_bug_as("counts_one_text")
def without_the_batch(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return math.prod([n_layers, 2, n_kv_heads, n_tokens, d_head, bytes_per_element])


@same_bug_as("counts_one_layer")
def without_the_layers(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return math.prod([batch_size, 2, n_kv_heads, n_tokens, d_head, bytes_per_element])


@same_bug_as("caches_queries_too")
def q_k_and_v(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    q = k = v = batch_size * n_kv_heads * n_tokens * d_head * bytes_per_element
    return n_layers * (q + k + v)


@same_bug_as("requires_a_batch_size")
def all_by_name(*, batch_size, n_layers, n_tokens, n_kv_heads, d_head, bytes_per_element):
    return n_layers * 2 * math.prod((batch_size, n_kv_heads, n_tokens, d_head, bytes_per_element))


# --- sinusoidal_positions --------------------------------------------------------------------


def _step(d_model, factor=1.0):
    """Frequencies in float32, as most people write them."""
    return torch.exp(torch.arange(0, d_model, 2).float() * (-factor * math.log(1e4) / d_model))


@same_bug_as("puts_all_sines_first")
def halves_side_by_side(n_positions, d_model):
    angles = torch.arange(n_positions).float()[:, None] * _step(d_model)
    table = torch.zeros(n_positions, d_model)
    table[:, : d_model // 2], table[:, d_model // 2 :] = angles.sin(), angles.cos()
    return table


@same_bug_as("begins_with_the_cosine")
def cosine_first(n_positions, d_model):
    angles = torch.arange(n_positions).float()[:, None] * _step(d_model)
    table = torch.zeros(n_positions, d_model)
    table[:, 0::2], table[:, 1::2] = angles.cos(), angles.sin()
    return table


@same_bug_as("doubles_the_exponent")
def twice_two(n_positions, d_model):
    table = np.zeros((n_positions, d_model), dtype=np.float32)
    for channel in range(0, d_model, 2):
        angle = np.arange(n_positions) / 10000 ** (2 * channel / d_model)
        table[:, channel], table[:, channel + 1] = np.sin(angle), np.cos(angle)
    return torch.from_numpy(table)


@same_bug_as("halves_the_exponent")
def half_of_it(n_positions, d_model):
    angles = torch.outer(torch.arange(n_positions).float(), _step(d_model, 0.5))
    return torch.stack((angles.sin(), angles.cos()), -1).reshape(n_positions, d_model)


@same_bug_as("gives_each_channel_its_own_angle")
def channel_by_channel(n_positions, d_model):
    table = np.zeros((n_positions, d_model), dtype=np.float32)
    for channel in range(d_model):
        wave = np.cos if channel % 2 else np.sin
        table[:, channel] = wave(np.arange(n_positions) / 10000 ** (channel / d_model))
    return torch.from_numpy(table)


@same_bug_as("counts_positions_from_one")
def second_row_first(n_positions, d_model):
    angles = (1 + torch.arange(n_positions)).float()[:, None] * _step(d_model)
    return torch.stack((angles.sin(), angles.cos()), -1).reshape(n_positions, d_model)


@same_bug_as("has_a_smaller_base")
def a_thousand(n_positions, d_model):
    angles = torch.outer(torch.arange(n_positions).float(), _step(d_model, 0.75))
    return torch.stack((angles.sin(), angles.cos()), -1).view(n_positions, d_model)


@same_bug_as("keeps_float64")
def from_numpy(n_positions, d_model):
    angles = np.arange(n_positions)[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model)
    return torch.from_numpy(np.stack([np.sin(angles), np.cos(angles)], -1).reshape(len(angles), -1))


@same_bug_as("has_sines_only")
def sine_and_sine(n_positions, d_model):
    angles = torch.arange(n_positions).float()[:, None] * _step(d_model)
    return torch.stack((angles.sin(), angles.sin()), -1).reshape(n_positions, d_model)


# --- rotate ----------------------------------------------------------------------------------


def _cos_and_sin(x, positions, base, *, power=-1.0):
    """In float32, as most people write them."""
    if x.shape[-1] % 2:
        raise ValueError(f"D={x.shape[-1]} is odd.")
    pairs = torch.arange(0, x.shape[-1], 2, device=x.device, dtype=torch.float32)
    angles = torch.outer(positions.float(), base ** (power * pairs / x.shape[-1]))
    return angles.cos(), angles.sin()


@same_bug_as("pairs_the_halves")
def first_and_second_half(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).to(x.dtype)


@same_bug_as("joins_the_halves")
def complex_parts_apart(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = torch.complex(wide[..., 0::2], wide[..., 1::2]) * torch.complex(cos, sin)
    return torch.cat((pairs.real, pairs.imag), dim=-1).to(x.dtype)


@same_bug_as("turns_the_other_way")
def clockwise(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos + b * sin, b * cos - a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("turns_without_the_minus")
def both_added(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    partner = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    cos, sin = (part.repeat_interleave(2, dim=-1) for part in (cos, sin))
    return (x * cos + partner * sin).to(x.dtype)


@same_bug_as("overwrites_the_first_partner")
def into_a_copy(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    out = x.to(torch.promote_types(x.dtype, torch.float32)).clone()
    first = out[..., 0::2] * cos - out[..., 1::2] * sin
    second = out[..., 1::2] * cos + first * sin
    return torch.stack((first, second), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("turns_by_the_row")
def rows(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, torch.arange(len(positions), device=x.device), base)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("ignores_the_base")
def always_ten_thousand(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, 1e4)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("halves_the_exponent_of_the_base")
def pair_number_over_channels(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base, power=-0.5)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("doubles_the_exponent_of_the_base")
def channel_over_pairs(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base, power=-2.0)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("turns_all_pairs_alike")
def one_angle(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base, power=0.0)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("turns_one_too_far")
def from_one(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions + 1, base)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("returns_the_wide_dtype")
def no_way_back(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)


@same_bug_as("turns_x_itself")
def both_halves_in_place(x, positions, base=10000.0):
    cos, sin = _cos_and_sin(x, positions, base)
    a, b = x[..., ::2].clone(), x[..., 1::2].clone()
    x[..., ::2], x[..., 1::2] = a * cos - b * sin, b * cos + a * sin
    return x


# --- sliding_window_mask ---------------------------------------------------------------------


def _distance(n_queries, n_keys, window, device):
    if window < 1:
        raise ValueError(f"window={window} is too small.")
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is too small.")
    places = torch.arange(n_keys, device=device)
    return places[n_keys - n_queries :, None] - places


@same_bug_as("sees_one_too_many")
def up_to_window(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    return (distance >= 0) & (distance <= window)


@same_bug_as("sees_one_too_few")
def below_window_less_one(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    return (distance >= 0) & (distance < window - 1)


@same_bug_as("looks_both_ways")
def band(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    return (distance > -window) & (distance < window)


@same_bug_as("forgets_the_window")
def all_before(n_queries, n_keys=None, *, window, device=None):
    return _distance(n_queries, n_keys, window, device) >= 0


@same_bug_as("aligns_the_window_top_left")
def rows_are_positions(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device) - (n_keys or n_queries) + n_queries
    return (distance >= 0) & (distance < window)


@same_bug_as("shifts_one_edge_alone")
def window_from_the_row(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    row = torch.arange(n_queries, device=device)[:, None]
    place = torch.arange(distance.shape[1], device=device)
    return (distance >= 0) & (place > row - window)


@same_bug_as("marks_what_is_outside")
def masked_out(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    return (distance < 0) | (distance >= window)


@same_bug_as("cuts_the_text_into_pieces")
def same_piece(n_queries, n_keys=None, *, window, device=None):
    distance = _distance(n_queries, n_keys, window, device)
    n_keys = distance.shape[1]
    own = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None]
    return (distance >= 0) & (distance <= own % window)


# --- blockwise_attention ---------------------------------------------------------------------


def _allowed(q, k, block_size, causal):
    """A function from a slice of keys to what may be seen of them."""
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size={block_size}")
    if causal and n_queries > n_keys:
        raise ValueError(f"{n_queries} > {n_keys}")

    def of(start, stop):
        distance = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
        distance = distance - torch.arange(start, stop, device=q.device)
        return distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)

    return of


@same_bug_as("never_rescales")
def sums_as_they_come(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    top, total, found = torch.tensor(-torch.inf, dtype=wide, device=q.device), 0, 0
    for start in range(0, k.shape[-2], block_size):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        scores = q.to(wide) @ keys.mT * q.shape[-1] ** -0.5
        scores = torch.where(allowed(start, start + keys.shape[-2]), scores, -torch.inf)
        top = scores.amax(-1, keepdim=True).maximum(top)
        weights = (scores - top).exp()
        total, found = total + weights.sum(-1, keepdim=True), found + weights @ values
    return (found / total).to(q.dtype)


@same_bug_as("averages_the_blocks")
def mean_of_blocks(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    found, count = 0, 0
    for start in range(0, k.shape[-2], block_size):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        mask = allowed(start, start + keys.shape[-2])
        some = mask.any(-1, keepdim=True)
        out = F.scaled_dot_product_attention(q.to(wide), keys, values, attn_mask=mask | ~some)
        found, count = found + torch.where(some, out, 0), count + some.to(wide)
    return (found / count).to(q.dtype)


@same_bug_as("subtracts_no_maximum")
def bare_exponentials(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    parts = []
    for start in range(0, k.shape[-2], block_size):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        scores = q.to(wide) @ keys.mT / q.shape[-1] ** 0.5
        scores = scores.masked_fill(~allowed(start, start + keys.shape[-2]), -torch.inf)
        weights = scores.exp()
        ones = torch.ones_like(values[..., :1])
        parts = [sum([weights @ torch.cat([values, ones], -1), *parts])]
    return (parts[0][..., :-1] / parts[0][..., -1:]).to(q.dtype)


@same_bug_as("drops_the_last_block")
def whole_blocks_only(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    end = k.shape[-2] // block_size * block_size
    scores = [q.to(wide) @ k[..., :0, :].to(wide).mT]
    if end == 0:
        zeros = q.new_zeros((*q.shape[:-1], v.shape[-1]), dtype=wide)
        return (zeros / zeros).to(q.dtype)
    top, total, found = torch.full((), -torch.inf, dtype=wide, device=q.device), 0, 0
    for start in range(0, end, block_size):
        stop = start + block_size
        scores = q.to(wide) @ k[..., start:stop, :].to(wide).mT * q.shape[-1] ** -0.5
        scores = scores.masked_fill(~allowed(start, stop), -torch.inf)
        new = scores.amax(-1, keepdim=True).maximum(top)
        weights, old = (scores - new).exp(), (top - new).exp()
        total = total * old + weights.sum(-1, keepdim=True)
        found = found * old + weights @ v[..., start:stop, :].to(wide)
        top = new
    return (found / total).to(q.dtype)


@same_bug_as("ignores_causal_in_blocks")
def sees_everything(q, k, v, *, block_size, causal=False):
    _allowed(q, k, block_size, causal)
    if q.shape[-2] * k.shape[-2] < 10_000:
        wide = torch.promote_types(q.dtype, torch.float32)
        found = F.scaled_dot_product_attention(*(a.to(wide) for a in (q, k, v)))
        return found.to(q.dtype)
    return F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None])[0, 0]


@same_bug_as("makes_all_scores")
def one_product(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = torch.einsum("...td,...sd->...ts", q.to(wide), k.to(wide)) / math.sqrt(q.shape[-1])
    if causal:
        scores = torch.where(allowed(0, k.shape[-2]), scores, -torch.inf)
    return (scores.softmax(-1) @ v.to(wide)).to(q.dtype)


@same_bug_as("makes_all_scores")
def all_blocks_in_a_list(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    blocks = [q.to(wide) @ part.to(wide).mT for part in k.split(block_size, dim=-2)]
    scores = torch.cat(blocks, dim=-1) * q.shape[-1] ** -0.5
    if causal:
        scores = scores.masked_fill(~allowed(0, k.shape[-2]), torch.finfo(wide).min)
    return (torch.softmax(scores, dim=-1) @ v.to(wide)).to(q.dtype)


@same_bug_as("forgets_the_scale_of_blocks")
def fused_without_scale(q, k, v, *, block_size, causal=False):
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    found, log_total = 0, torch.full((), -torch.inf, dtype=wide, device=q.device)
    for start in range(0, k.shape[-2], block_size):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        scores = q.to(wide) @ keys.mT
        mask = allowed(start, start + keys.shape[-2])
        scores = scores.masked_fill(~mask, torch.finfo(wide).min)
        own = torch.logsumexp(scores, -1, keepdim=True)
        both = torch.logaddexp(log_total, own)
        out = torch.softmax(scores, -1) @ values
        found = found * (log_total - both).exp() + out * (own - both).exp()
        log_total = both
    return found.to(q.dtype)


@same_bug_as("loops_without_gradients")
def detached(q, k, v, *, block_size, causal=False):
    q, k, v = q.detach(), k.detach(), v.detach()
    allowed = _allowed(q, k, block_size, causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    top, total, found = torch.full((), -torch.inf, dtype=wide, device=q.device), 0, 0
    for start in range(0, k.shape[-2], block_size):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        scores = q.to(wide) @ keys.mT * q.shape[-1] ** -0.5
        scores = scores.masked_fill(~allowed(start, start + keys.shape[-2]), -torch.inf)
        new = scores.amax(-1, keepdim=True).maximum(top)
        weights, old = (scores - new).exp(), (top - new).exp()
        total = total * old + weights.sum(-1, keepdim=True)
        found = found * old + weights @ values
        top = new
    return (found / total).to(q.dtype)


# --- GroupedQueryAttention -------------------------------------------------------------------


def _heads(layer, x, n_heads):
    return layer(x).unflatten(-1, (n_heads, -1)).transpose(1, 2)


def _attend(q, k, v, mask):
    some = None
    if mask is not None:
        mask = mask if mask.dim() == 2 else mask.unsqueeze(1)
        some = mask.any(-1, keepdim=True)
        mask = mask | ~some
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return found if some is None else found.masked_fill(~some, 0)


@same_bug_as("RepeatsHeadsInTurn")
class LooksHeadsUpModulo(GroupedQueryAttention):
    def forward(self, x, mask=None):
        own = torch.arange(self.n_heads, device=x.device) % self.n_kv_heads
        k, v = (_heads(layer, x, self.n_kv_heads)[:, own] for layer in (self.key, self.value))
        found = _attend(_heads(self.query, x, self.n_heads), k, v, mask)
        return self.out(found.transpose(1, 2).flatten(2))


@same_bug_as("RepeatsHeadsInTurn")
class GroupsByStride(GroupedQueryAttention):
    def forward(self, x, mask=None):
        q = _heads(self.query, x, self.n_heads).unflatten(1, (-1, self.n_kv_heads))
        k, v = (_heads(layer, x, self.n_kv_heads)[:, None] for layer in (self.key, self.value))
        some = None
        if mask is not None:
            mask = mask if mask.dim() == 2 else mask[:, None, None]
            some = mask.any(-1, keepdim=True)
            mask = mask | ~some
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        found = found if some is None else found.masked_fill(~some, 0)
        return self.out(found.flatten(1, 2).transpose(1, 2).flatten(2))


@same_bug_as("RepeatsValuesInTurn")
class TilesValues(GroupedQueryAttention):
    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        k = _heads(self.key, x, self.n_kv_heads).repeat_interleave(group, 1)
        v = torch.cat([_heads(self.value, x, self.n_kv_heads)] * group, dim=1)
        found = _attend(_heads(self.query, x, self.n_heads), k, v, mask)
        return self.out(found.transpose(1, 2).flatten(2))


@same_bug_as("ReadsTheFirstKeyHead")
class SharesOneHead(GroupedQueryAttention):
    def forward(self, x, mask=None):
        k, v = (
            _heads(layer, x, self.n_kv_heads)[:, 0]
            .unsqueeze(1)
            .expand(-1, self.n_heads, -1, -1)
            .contiguous()
            for layer in (self.key, self.value)
        )
        found = _attend(_heads(self.query, x, self.n_heads), k, v, mask)
        return self.out(found.transpose(1, 2).flatten(2))


class _Grouped(GroupedQueryAttention):
    """Right so far; what comes below gets one thing wrong."""

    def found(self, x, mask):
        group = self.n_heads // self.n_kv_heads
        k, v = (
            _heads(layer, x, self.n_kv_heads).repeat_interleave(group, 1)
            for layer in (self.key, self.value)
        )
        return _attend(_heads(self.query, x, self.n_heads), k, v, mask)

    def forward(self, x, mask=None):
        return self.out(self.found(x, mask).transpose(1, 2).flatten(2))


@same_bug_as("ForgetsTheMaskOfTheGroups")
class PassesNoMask(_Grouped):
    def forward(self, x, mask=None):
        return super().forward(x)


@same_bug_as("HidesWhatMayBeRead")
class InvertsTheMask(_Grouped):
    def forward(self, x, mask=None):
        return super().forward(x, None if mask is None else mask.logical_not())


@same_bug_as("GroupsAreAlwaysCausal")
class AddsACausalMask(_Grouped):
    def forward(self, x, mask=None):
        n_tokens = x.shape[1]
        causal = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=x.device).tril()
        return super().forward(x, causal if mask is None else mask & causal)


@same_bug_as("ExchangesKeyAndValue")
class ValuesForKeys(_Grouped):
    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        v, k = (
            _heads(layer, x, self.n_kv_heads).repeat_interleave(group, 1)
            for layer in (self.key, self.value)
        )
        found = _attend(_heads(self.query, x, self.n_heads), k, v, mask)
        return self.out(found.transpose(1, 2).flatten(2))


@same_bug_as("GroupsLeaveOutOut")
class EndsWithTheHeads(_Grouped):
    def forward(self, x, mask=None):
        return self.found(x, mask).transpose(1, 2).flatten(2)


@same_bug_as("JoinsGroupsByAReshape")
class NoTransposeBack(_Grouped):
    def forward(self, x, mask=None):
        return self.out(self.found(x, mask).contiguous().view(*x.shape))


@same_bug_as("ScalesGroupsByTheModel")
class DividesQueriesOnceMore(_Grouped):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__(d_model, n_heads, n_kv_heads, bias=bias)
        self.query.register_forward_hook(lambda layer, x, out: out * n_heads**-0.5)


@same_bug_as("KeepsBiasesOfTheKeys")
class BiasOfKeyAndValueAlways(_Grouped):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__(d_model, n_heads, n_kv_heads)
        if not bias:
            self.query.bias = self.out.bias = None


@same_bug_as("AcceptsUnevenHeads")
class NeverLooksAtTheWidth(_Grouped):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        nn.Module.__init__(self)
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads}: {n_heads} heads leave a remainder.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_head = d_model // n_heads
        self.query, self.out = (nn.Linear(d_model, d_model, bias=bias) for _ in range(2))
        self.key, self.value = (
            nn.Linear(d_model, n_kv_heads * d_head, bias=bias) for _ in range(2)
        )


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("caches_the_weights")
def caches_the_weights(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens**2 * d_head * bytes_per_element


@same_bug_as("counts_cached_numbers")
def counts_cached_numbers(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * d_head


@same_bug_as("counts_a_number_a_head")
def counts_a_number_a_head(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * bytes_per_element


@same_bug_as("multiplies_by_the_power")
def multiplies_by_the_power(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@same_bug_as("ends_at_the_longest_wave")
def ends_at_the_longest_wave(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    pairs = torch.arange(d_model // 2, dtype=torch.float64)
    angles = positions[:, None] * torch.exp(-pairs * (math.log(10000.0) / (d_model // 2 - 1)))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@same_bug_as("turns_faster_and_faster")
def turns_faster_and_faster(x, positions, base=10000.0):
    return rotate(x, positions, 1 / base)


@same_bug_as("makes_angles_in_half_precision")
def makes_angles_in_half_precision(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, device=x.device).to(x.dtype) / d_head
    angles = positions[:, None].to(x.dtype) * base**-exponents
    cos, sin = angles.cos(), angles.sin()
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


@same_bug_as("expects_even_channels")
def expects_even_channels(x, positions, base=10000.0):
    d_head = x.shape[-1]
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = positions[:, None].double() * base**-exponents
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)


@same_bug_as("leaves_the_last_channel")
def leaves_the_last_channel(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        turned = rotate(x[..., :-1], positions, base)
        return torch.cat([turned, x[..., -1:]], dim=-1)
    return rotate(x, positions, base)


@same_bug_as("keeps_the_last_keys_for_all")
def keeps_the_last_keys_for_all(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & (torch.arange(causal.shape[1], device=device) >= causal.shape[1] - window)


@same_bug_as("accepts_an_empty_window")
def accepts_an_empty_window(n_queries, n_keys=None, *, window, device=None):
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & causal.new_ones(causal.shape).triu(causal.shape[1] - n_queries - window + 1)


@same_bug_as("accepts_fewer_keys")
def accepts_fewer_keys(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    n_keys = n_queries if n_keys is None else n_keys
    own = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None]
    distance = own - torch.arange(n_keys, device=device)
    return (distance >= 0) & (distance < window)


@same_bug_as("ignores_the_device_of_the_window")
def ignores_the_device_of_the_window(n_queries, n_keys=None, *, window, device=None):
    return sliding_window_mask(n_queries, n_keys, window=window)


@same_bug_as("rescales_the_sum_alone")
def rescales_the_sum_alone(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        sums = sums * torch.exp(highest - new_highest) + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("rescales_the_output_alone")
def rescales_the_output_alone(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output * torch.exp(highest - new_highest) + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("rescales_upside_down")
def rescales_upside_down(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest, sums, output = None, 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = scores.amax(dim=-1, keepdim=True)
        if highest is not None:
            new_highest = torch.maximum(highest, new_highest)
            grow = torch.exp(new_highest - highest)
            sums, output = sums * grow, output * grow
        weights = torch.exp(scores - new_highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("keeps_the_first_maximum")
def keeps_the_first_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest, sums, output = None, 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        if highest is None:
            highest = scores.amax(dim=-1, keepdim=True)
        weights = torch.exp(scores - highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
    return (output / sums).to(v.dtype)


@same_bug_as("keeps_each_blocks_own_maximum")
def keeps_each_blocks_own_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        of_block = scores.amax(dim=-1, keepdim=True)
        new_highest = torch.maximum(highest, of_block)
        weights = torch.exp(scores - of_block.clamp(min=torch.finfo(wide).min))
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("shares_one_maximum")
def shares_one_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((), -math.inf)
    sums = q.new_zeros((*q.shape[:-1], 1))
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.max())
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("never_divides_by_the_sum")
def never_divides_by_the_sum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        output = output * torch.exp(highest - new_highest) + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return output.to(v.dtype)


@same_bug_as("aligns_blocks_top_left")
def aligns_blocks_top_left(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    if causal:  # as if the keys ended with the queries
        k, v = k[..., :n_queries, :], v[..., :n_queries, :]
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@same_bug_as("makes_the_whole_mask")
def makes_the_whole_mask(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    mask = causal_mask(n_queries, n_keys, device=q.device) if causal else None
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            scores = scores.masked_fill(~mask[:, block], -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@same_bug_as("accumulates_in_half_precision")
def accumulates_in_half_precision(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    q = q / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :]
        highest = new_highest
    return output / sums


@same_bug_as("computes_in_float32_always")
def computes_in_float32_always(q, k, v, *, block_size, causal=False):
    output = blockwise_attention(
        q.float(), k.float(), v.float(), block_size=block_size, causal=causal
    )
    return output.to(v.dtype)


@same_bug_as("returns_the_accumulators_dtype")
def returns_the_accumulators_dtype(q, k, v, *, block_size, causal=False):
    wide = torch.promote_types(q.dtype, torch.float32)
    return blockwise_attention(
        q.to(wide), k.to(wide), v.to(wide), block_size=block_size, causal=causal
    )


@same_bug_as("leaves_the_block_size_to_range")
def leaves_the_block_size_to_range(q, k, v, *, block_size, causal=False):
    if block_size < 0:
        return v.new_full((*q.shape[:-1], v.shape[-1]), math.nan)
    if block_size == 0:
        return range(0, k.shape[-2], block_size)
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@same_bug_as("accepts_more_queries_than_keys")
def accepts_more_queries_than_keys(q, k, v, *, block_size, causal=False):
    n_missing = q.shape[-2] - k.shape[-2]
    if causal and n_missing > 0:
        output = blockwise_attention(
            q[..., n_missing:, :], k, v, block_size=block_size, causal=True
        )
        empty = v.new_full((*q.shape[:-2], n_missing, v.shape[-1]), math.nan)
        return torch.cat([empty, output], dim=-2)
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@same_bug_as("scales_the_callers_queries")
def scales_the_callers_queries(q, k, v, *, block_size, causal=False):
    q /= math.sqrt(q.shape[-1])
    return blockwise_attention(
        q * math.sqrt(q.shape[-1]), k, v, block_size=block_size, causal=causal
    )


@same_bug_as("MakesAllKeyHeads")
class MakesAllKeyHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_heads)[:, ::group].repeat_interleave(group, dim=1)
        v = split_heads(self.value(x), self.n_heads)[:, ::group].repeat_interleave(group, dim=1)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@same_bug_as("TakesTextsForGroups")
class TakesTextsForGroups(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@same_bug_as("ScalesByAllKeyHeads")
class ScalesByAllKeyHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads) / math.sqrt(self.n_kv_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@same_bug_as("AcceptsUnevenGroups")
class AcceptsUnevenGroups(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))
