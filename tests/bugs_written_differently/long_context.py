"""The bugs of lesson 11 in other words."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.long_context import GroupedQueryAttention

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
