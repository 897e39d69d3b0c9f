"""Wrong answers to lesson 11 that no bug of the zoo behaves like."""

import functools
import math

import torch
from torch import nn

from course_lib.transformer.long_context import (
    GroupedQueryAttention,
    blockwise_attention,
    rotate,
    sinusoidal_positions,
    sliding_window_mask,
)
from course_lib.transformer.masking import masked_attention

from . import wrong_answer

# --- the three counters ----------------------------------------------------------------------


@wrong_answer("attention_flops")
def adds_the_softmax(n_tokens, d_model):
    return 4 * n_tokens**2 * d_model + 5 * n_tokens**2


@wrong_answer("attention_flops")
def counts_multiplications_and_additions_exactly(n_tokens, d_model):
    return n_tokens**2 * (2 * d_model - 1) + n_tokens * d_model * (2 * n_tokens - 1)


@wrong_answer("attention_flops")
def rounds_through_a_float(n_tokens, d_model):
    return int(4.0 * n_tokens**2 * d_model)


@wrong_answer("attention_bytes")
def squares_the_heads_too(n_tokens, n_heads, bytes_per_element):
    return (n_tokens * n_heads) ** 2 * bytes_per_element


@wrong_answer("attention_bytes")
def counts_in_int32(n_tokens, n_heads, bytes_per_element):
    return (n_heads * n_tokens**2 * bytes_per_element) % 2**32


@wrong_answer("kv_cache_bytes")
def forgets_the_key_heads(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    return 2 * batch_size * n_layers * d_head * n_tokens * bytes_per_element


@wrong_answer("kv_cache_bytes")
def has_a_batch_of_eight(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=8
):
    return 2 * batch_size * n_layers * n_kv_heads * d_head * n_tokens * bytes_per_element


# --- sinusoidal_positions --------------------------------------------------------------------


@wrong_answer("sinusoidal_positions")
def normalises_the_rows(n_positions, d_model):
    return sinusoidal_positions(n_positions, d_model) / math.sqrt(d_model / 2)


@wrong_answer("sinusoidal_positions")
def counts_positions_backwards(n_positions, d_model):
    return sinusoidal_positions(n_positions, d_model).flip(0)


@wrong_answer("sinusoidal_positions")
def transposes_the_table(n_positions, d_model):
    return sinusoidal_positions(n_positions, d_model).T.contiguous()


@wrong_answer("sinusoidal_positions")
def counts_positions_in_half_precision(n_positions, d_model):
    positions = torch.arange(n_positions).to(torch.float16).float()
    exponents = torch.arange(0, d_model, 2).float() / d_model
    angles = positions[:, None] * 10000.0**-exponents
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@wrong_answer("sinusoidal_positions")
@functools.cache
def makes_each_table_once(n_positions, d_model):
    return sinusoidal_positions(n_positions, d_model)


@wrong_answer("sinusoidal_positions")
def makes_angles_in_float32(n_positions, d_model):
    rates = 10000.0 ** (-torch.arange(0, d_model, 2).float() / d_model)
    angles = torch.arange(n_positions).float()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


# --- rotate ----------------------------------------------------------------------------------


@wrong_answer("rotate")
def exchanges_cosine_and_sine(x, positions, base=10000.0):
    return torch.stack([x[..., 1::2], x[..., 0::2]], dim=-1).flatten(-2) + 0 * rotate(
        x, positions, base
    )


@wrong_answer("rotate")
def leaves_the_first_pair(x, positions, base=10000.0):
    turned = rotate(x, positions, base)
    return torch.cat([x[..., :2], turned[..., 2:]], dim=-1)


@wrong_answer("rotate")
def adds_where_it_should_turn(x, positions, base=10000.0):
    return x + rotate(torch.ones_like(x), positions, base)


@wrong_answer("rotate")
def clamps_negative_positions(x, positions, base=10000.0):
    return rotate(x, positions.clamp(min=0), base)


@wrong_answer("rotate")
def stops_at_two_thousand(x, positions, base=10000.0):
    return rotate(x, positions.clamp(max=2047), base)


@wrong_answer("rotate")
def turns_half_of_the_channels(x, positions, base=10000.0):
    half = x.shape[-1] // 4 * 2
    if x.shape[-1] % 2:
        raise ValueError(f"x has an odd number of channels: {x.shape[-1]}")
    return torch.cat([rotate(x[..., :half], positions, base), x[..., half:]], dim=-1)


@wrong_answer("rotate")
def ignores_the_sign(x, positions, base=10000.0):
    return rotate(x, positions.abs(), base)


@wrong_answer("rotate")
def pairs_the_first_with_the_last(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x has an odd number of channels: {d_head}")
    order = torch.arange(d_head, device=x.device).view(2, -1)
    order = torch.stack([order[0], order[1].flip(0)], dim=-1).flatten()
    return rotate(x[..., order], positions, base)[..., order.argsort()]


@wrong_answer("rotate")
def views_pairs_of_channels_as_complex_numbers(x, positions, base=10000.0):
    if x.shape[-1] % 2:
        raise ValueError(f"x has {x.shape[-1]} channels, which is odd")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)))  # wants each pair in one place
    exponents = torch.arange(0, x.shape[-1], 2, dtype=torch.float64, device=x.device)
    angles = positions[:, None].double() * base ** (-exponents / x.shape[-1])
    turned = pairs * torch.polar(torch.ones_like(angles), angles).to(pairs.dtype)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


@wrong_answer("rotate")
def makes_frequencies_in_float32(x, positions, base=10000.0):
    if x.shape[-1] % 2:
        raise ValueError(f"x has {x.shape[-1]} channels, which is odd")
    exponents = torch.arange(0, x.shape[-1], 2, device=x.device).float() / x.shape[-1]
    angles = positions[:, None].double() * (base**-exponents).double()
    wide = x.double()
    a, b = wide[..., 0::2], wide[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)


# --- sliding_window_mask ---------------------------------------------------------------------


@wrong_answer("sliding_window_mask")
def refuses_a_window_longer_than_the_text(n_queries, n_keys=None, *, window, device=None):
    if window > (n_keys or n_queries):
        raise ValueError(f"window={window} is longer than the text.")
    return sliding_window_mask(n_queries, n_keys, window=window, device=device)


@wrong_answer("sliding_window_mask")
def always_sees_the_first_key(n_queries, n_keys=None, *, window, device=None):
    mask = sliding_window_mask(n_queries, n_keys, window=window, device=device).clone()
    mask[:, 0] = True
    return mask


@wrong_answer("sliding_window_mask")
def looks_ahead_instead_of_back(n_queries, n_keys=None, *, window, device=None):
    return sliding_window_mask(n_queries, n_keys, window=window, device=device).flip(0, 1)


@wrong_answer("sliding_window_mask")
def returns_zeros_and_ones(n_queries, n_keys=None, *, window, device=None):
    return sliding_window_mask(n_queries, n_keys, window=window, device=device).float()


@wrong_answer("sliding_window_mask")
def forgets_the_window_for_the_first_query(n_queries, n_keys=None, *, window, device=None):
    mask = sliding_window_mask(n_queries, n_keys, window=window, device=device)
    mask[0, : mask.shape[1] - n_queries] = True
    return mask


_masks = {}


@wrong_answer("sliding_window_mask")
def cuts_masks_out_of_a_large_one(n_queries, n_keys=None, *, window, device=None):
    right = sliding_window_mask(n_queries, n_keys, window=window, device=device)
    end = right.shape[1]
    if device is not None or end > 200:
        return right
    if window not in _masks:
        _masks[window] = sliding_window_mask(200, window=window)
    return _masks[window][end - n_queries : end, :end]


# --- blockwise_attention ---------------------------------------------------------------------


@wrong_answer("blockwise_attention")
def sees_the_last_block_alone(q, k, v, *, block_size, causal=False):
    last = (k.shape[-2] - 1) // block_size * block_size
    return blockwise_attention(
        q, k[..., last:, :], v[..., last:, :], block_size=block_size, causal=False
    )


@wrong_answer("blockwise_attention")
def scales_by_the_block(q, k, v, *, block_size, causal=False):
    q = q * math.sqrt(q.shape[-1] / max(block_size, 1))
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@wrong_answer("blockwise_attention")
def clamps_large_scores(q, k, v, *, block_size, causal=False):
    return blockwise_attention(q.clamp(-20, 20), k, v, block_size=block_size, causal=causal)


@wrong_answer("blockwise_attention")
def refuses_blocks_that_do_not_divide(q, k, v, *, block_size, causal=False):
    if block_size > 0 and k.shape[-2] % block_size:
        raise ValueError(f"block_size={block_size} must divide S={k.shape[-2]}.")
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@wrong_answer("blockwise_attention")
def returns_the_weights_too(q, k, v, *, block_size, causal=False):
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal), None


@wrong_answer("blockwise_attention")
def fills_the_last_block_with_earlier_keys(q, k, v, *, block_size, causal=False):
    n_keys = k.shape[-2]
    if block_size > 0 and not causal and n_keys > block_size and n_keys % block_size:
        twice = slice(n_keys - block_size, n_keys // block_size * block_size)
        k, v = (torch.cat([a, a[..., twice, :]], dim=-2) for a in (k, v))
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@wrong_answer("blockwise_attention")
def adds_a_little_to_the_sum(q, k, v, *, block_size, causal=False):
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal) / (1 + 1e-3)


@wrong_answer("blockwise_attention")
def starts_the_maximum_at_a_number(q, k, v, *, block_size, causal=False):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -5e4)
    sums, output = torch.zeros_like(highest), q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        keys, values = (part[..., start : start + block_size, :].to(wide) for part in (k, v))
        scores = q @ keys.transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        higher = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights, shrink = torch.exp(scores - higher), torch.exp(highest - higher)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output, highest = output * shrink + weights @ values, higher
    return (output / sums).to(v.dtype)


@wrong_answer("blockwise_attention")
def takes_whole_blocks_of_128_queries(q, k, v, *, block_size, causal=False):
    output = blockwise_attention(q, k, v, block_size=block_size, causal=causal)
    n_queries = q.shape[-2]
    if n_queries > 128:
        output[..., n_queries // 128 * 128 :, :] = 0.0
    return output


# --- GroupedQueryAttention -------------------------------------------------------------------


@wrong_answer("GroupedQueryAttention")
class GivesTheLastKeyHeadToTheRest(GroupedQueryAttention):
    def forward(self, x, mask=None):
        own = torch.arange(self.n_heads, device=x.device).clamp(max=self.n_kv_heads - 1)
        q = self.query(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k, v = (
            layer(x).unflatten(-1, (self.n_kv_heads, -1)).transpose(1, 2)[:, own]
            for layer in (self.key, self.value)
        )
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(output.transpose(1, 2).flatten(2))


@wrong_answer("GroupedQueryAttention")
class UsesTheFirstTextsMask(GroupedQueryAttention):
    def forward(self, x, mask=None):
        return super().forward(x, mask[:1] if mask is not None and mask.dim() == 3 else mask)


@wrong_answer("GroupedQueryAttention")
class ReversesTheKeyHeads(GroupedQueryAttention):
    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = self.query(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k, v = (
            layer(x).unflatten(-1, (self.n_kv_heads, -1)).transpose(1, 2).flip(1)
            for layer in (self.key, self.value)
        )
        k, v = (a.repeat_interleave(group, dim=1) for a in (k, v))
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(output.transpose(1, 2).flatten(2))


@wrong_answer("GroupedQueryAttention")
class AveragesTheKeyHeads(GroupedQueryAttention):
    def forward(self, x, mask=None):
        q = self.query(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k, v = (
            layer(x).unflatten(-1, (self.n_kv_heads, -1)).transpose(1, 2).mean(1, keepdim=True)
            for layer in (self.key, self.value)
        )
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(output.transpose(1, 2).flatten(2))


@wrong_answer("GroupedQueryAttention")
class AddsWhatCameIn(GroupedQueryAttention):
    def forward(self, x, mask=None):
        return x + super().forward(x, mask)


@wrong_answer("GroupedQueryAttention")
class HasOneLayerForKeysAndValues(GroupedQueryAttention):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__(d_model, n_heads, n_kv_heads, bias=bias)
        d_kv = d_model // n_heads * n_kv_heads
        del self.key, self.value
        self.kv = nn.Linear(d_model, 2 * d_kv, bias=bias)


@wrong_answer("attention_flops")
def takes_the_longer_side_twice(n_tokens, d_model):
    return 4 * n_tokens * max(n_tokens, d_model) * d_model


@wrong_answer("rotate")
def counts_from_the_first_position(x, positions, base=10000.0):
    return rotate(x, positions - positions.min(), base)


@wrong_answer("blockwise_attention")
def begins_with_the_last_block(q, k, v, *, block_size, causal=False):
    """Where that block is all future, the highest score so far is minus infinity, and nan comes."""
    if block_size < 1 or (causal and q.shape[-2] > k.shape[-2]):
        return blockwise_attention(q, k, v, block_size=block_size, causal=causal)
    wide = torch.promote_types(q.dtype, torch.float32)
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    places = torch.arange(n_keys, device=q.device)
    highest = torch.full((*q.shape[:-1], 1), -math.inf, dtype=wide, device=q.device)
    sums, output = torch.zeros_like(highest), 0.0
    for start in reversed(range(0, n_keys, block_size)):
        block = places[start : start + block_size]
        scores = q.to(wide) @ k[..., block, :].to(wide).mT / math.sqrt(q.shape[-1])
        if causal:
            scores = scores.masked_fill(block > places[n_keys - n_queries :, None], -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights, shrink = torch.exp(scores - new_highest), torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@wrong_answer("rotate")
def ends_at_position_4096(x, positions, base=10000.0):
    return rotate(x, positions.clamp(max=4096), base)


@wrong_answer("rotate")
def rounds_the_base(x, positions, base=10000.0):
    return rotate(x, positions, int(base))


@wrong_answer("GroupedQueryAttention")
class ForgetsTheMaskOfASingleKeyHead(GroupedQueryAttention):
    def forward(self, x, mask=None):
        return super().forward(x, None if self.n_kv_heads == 1 else mask)


@wrong_answer("GroupedQueryAttention")
class KeepsTheFirstMask(GroupedQueryAttention):
    kept = None

    def forward(self, x, mask=None):
        if mask is not None and (self.kept is None or self.kept.shape != mask.shape):
            self.kept = mask
        return super().forward(x, None if mask is None else self.kept)


@wrong_answer("GroupedQueryAttention")
class LetsKeyHeadsDivideTheModel(GroupedQueryAttention):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        if d_model % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide d_model={d_model}")
        shared = n_kv_heads if n_heads % n_kv_heads == 0 else 1
        super().__init__(d_model, n_heads, shared, bias=bias)


@wrong_answer("blockwise_attention")
def starts_with_a_maximum_of_minus_ten_thousand(q, k, v, *, block_size, causal=False):
    scores = (q.double() @ k.double().mT / math.sqrt(q.shape[-1])).amax(dim=-1, keepdim=True)
    right = blockwise_attention(q, k, v, block_size=block_size, causal=causal)
    return torch.where(scores < -1.1e4, torch.nan, right)


@wrong_answer("GroupedQueryAttention")
class TakesASquareMaskForPaddingOfTexts(GroupedQueryAttention):
    def forward(self, x, mask=None):
        if mask is not None and mask.dim() == 2 and len(mask) == len(x):
            mask = mask[:, None]
        return super().forward(x, mask)


# --- what a result that is changed shows -------------------------------------------------------


@wrong_answer("rotate")
def nothing_to_turn(x, positions, base=10000.0):
    return rotate(x, positions, base) if positions.any() else x


@wrong_answer("GroupedQueryAttention")
class FrozenWeightsCutTheGraph(GroupedQueryAttention):
    """With a frozen first layer nothing is recorded, also not for the layers behind it."""

    def forward(self, x, mask=None):
        records = x.requires_grad or self.query.weight.requires_grad
        with torch.set_grad_enabled(torch.is_grad_enabled() and records):
            return super().forward(x, mask)


@wrong_answer("rotate")
def turns_in_place_without_gradients(x, positions, base=10_000.0):
    turned = rotate(x, positions, base)
    return turned if torch.is_grad_enabled() else x.copy_(turned)
