"""Right ways to write lesson 11 that differ from ours."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.masking import causal_mask, masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads

from . import variant

# --- the three counters ----------------------------------------------------------------------


@variant("attention_flops", title="product by product, multiply-adds first")
def attention_flops_by_products(n_tokens, d_model):
    multiply_adds_of_scores = n_tokens * n_tokens * d_model
    multiply_adds_of_output = n_tokens * d_model * n_tokens
    return 2 * (multiply_adds_of_scores + multiply_adds_of_output)


@variant("attention_flops", title="head by head, for one head as wide as the model")
def attention_flops_by_pow(n_tokens, d_model):
    flops_of_one_dot_product = 2 * d_model
    return 2 * pow(n_tokens, 2) * flops_of_one_dot_product


@variant("attention_bytes", title="head by head")
def attention_bytes_by_sum(n_tokens, n_heads, bytes_per_element):
    table = bytes_per_element * n_tokens * n_tokens
    return sum(table for _ in range(n_heads))


@variant("attention_bytes", title="math.prod of a shape")
def attention_bytes_by_shape(n_tokens, n_heads, bytes_per_element):
    return math.prod((n_heads, n_tokens, n_tokens, bytes_per_element))


@variant("kv_cache_bytes", title="from the size of one token's keys and values")
def kv_cache_bytes_by_token(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    per_token = 2 * n_layers * (n_kv_heads * d_head) * bytes_per_element
    return per_token * n_tokens * batch_size


@variant("kv_cache_bytes", title="arguments in another order, which may be given by position too")
def kv_cache_bytes_by_shape(
    batch_size=1, n_layers=1, n_tokens=1, n_kv_heads=1, d_head=1, bytes_per_element=1
):
    of_keys = math.prod((batch_size, n_kv_heads, n_tokens, d_head)) * bytes_per_element
    of_values = of_keys
    return n_layers * (of_keys + of_values)


# --- sinusoidal_positions --------------------------------------------------------------------


@variant("sinusoidal_positions", title="by exp and log, written into a zero table")
def sinusoidal_positions_by_exp(n_positions, d_model):
    table = torch.zeros(n_positions, d_model)
    position = torch.arange(0, n_positions, dtype=torch.double).unsqueeze(1)
    step = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(10000.0) / d_model))
    table[:, 0::2] = torch.sin(position * step)
    table[:, 1::2] = torch.cos(position * step)
    return table


@variant("sinusoidal_positions", title="NumPy, number by number")
def sinusoidal_positions_by_numpy(n_positions, d_model):
    table = np.empty((n_positions, d_model), dtype=np.float32)
    for i in range(d_model // 2):
        angle = np.arange(n_positions) / 10000.0 ** (2 * i / d_model)
        table[:, 2 * i], table[:, 2 * i + 1] = np.sin(angle), np.cos(angle)
    return torch.from_numpy(table)


@variant("sinusoidal_positions", title="one sine: the cosine is a sine a quarter turn later")
def sinusoidal_positions_by_phase(n_positions, d_model):
    channels = torch.arange(d_model, dtype=torch.float64)
    even = channels - channels % 2
    phase = (channels % 2) * math.pi / 2
    positions = torch.arange(n_positions, dtype=torch.float64)
    angles = torch.outer(positions, torch.pow(10000.0, -even / d_model))
    return torch.sin(angles + phase).to(torch.float32)


@variant("sinusoidal_positions", title="the parts of a complex exponential")
def sinusoidal_positions_by_polar(n_positions, d_model):
    frequencies = 10000.0 ** -(torch.arange(d_model // 2).double() * 2.0 / d_model)
    angles = torch.outer(torch.arange(n_positions).double(), frequencies)
    turns = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))
    return turns.flip(-1).reshape(n_positions, d_model).float()


# --- rotate ----------------------------------------------------------------------------------


@variant("rotate", title="complex numbers; exponents made on the CPU and moved")
def rotate_by_complex_numbers(x, positions, base=10000.0):
    if x.shape[-1] % 2:
        raise ValueError(f"x has {x.shape[-1]} channels, which is odd.")
    exponents = torch.arange(0, x.shape[-1], 2).double().to(x.device) / x.shape[-1]
    frequencies = 1.0 / base**exponents
    angles = torch.outer(positions.to(torch.float64), frequencies)
    turns = torch.polar(torch.ones_like(angles), angles)
    wide = x.double()
    pairs = torch.view_as_complex(wide.reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2).type_as(x)


@variant("rotate", title="x times cosine plus its turned partner times sine, both repeated")
def rotate_by_partners(x, positions, base=10000.0):
    d_head = x.size(-1)
    if d_head % 2 == 1:
        raise ValueError(f"D must be even, got {d_head}")
    exponents = (torch.arange(d_head, device=x.device) // 2 * 2).double() / d_head
    angles = positions.double()[:, None] * torch.pow(base, -exponents)
    partner = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).reshape(x.shape)
    return (x * angles.cos() + partner * angles.sin()).to(x.dtype)


@variant("rotate", title="a 2×2 matrix for each position and pair")
def rotate_by_matrices(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got {d_head}.")
    pairs = torch.arange(d_head // 2, dtype=torch.float64, device=x.device)
    angles = positions.double()[:, None] / base ** (2 * pairs / d_head)
    cos, sin = angles.cos(), angles.sin()
    matrices = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    by_pair = x.double().unflatten(-1, (-1, 2))
    return torch.einsum("tpij,...tpj->...tpi", matrices, by_pair).flatten(-2).to(x.dtype)


@variant("rotate", title="pair by pair into an empty tensor; cosines rounded to the dtype of x")
def rotate_pair_by_pair(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head & 1:
        raise ValueError(f"odd number of channels: {d_head}")
    turned = torch.empty_like(x)
    for i in range(d_head // 2):
        angle = positions.double() * base ** (-2 * i / d_head)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b = x[..., 2 * i], x[..., 2 * i + 1]
        turned[..., 2 * i] = a * cos - b * sin
        turned[..., 2 * i + 1] = a * sin + b * cos
    return turned


# --- sliding_window_mask ---------------------------------------------------------------------


@variant("sliding_window_mask", title="distances between positions")
def sliding_window_mask_by_distance(n_queries, n_keys=None, *, window, device=None):
    if window <= 0:
        raise ValueError(f"window={window} leaves nothing to see.")
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is smaller than n_queries={n_queries}.")
    places = torch.arange(n_keys, device=device)
    distance = places[-n_queries:].unsqueeze(1) - places
    return (distance >= 0) & (distance < window)


@variant("sliding_window_mask", title="one causal mask without an older one")
def sliding_window_mask_by_difference(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    mask = causal_mask(n_queries, n_keys, device=device)
    return mask ^ mask.tril(mask.shape[1] - n_queries - window)


@variant("sliding_window_mask", title="row by row into zeros")
def sliding_window_mask_by_rows(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be 1 or more, not {window}")
    if n_keys is None:
        n_keys = n_queries
    if n_queries > n_keys:
        raise ValueError(f"n_keys must be at least {n_queries}, got n_keys={n_keys}")
    mask = torch.zeros(n_queries, n_keys, dtype=torch.bool, device=device)
    for row in range(n_queries):
        end = n_keys - n_queries + row + 1
        mask[row, max(0, end - window) : end] = True
    return mask


# --- blockwise_attention ---------------------------------------------------------------------


@variant("blockwise_attention", title="two passes: all maxima and sums first, then the values")
def blockwise_attention_in_two_passes(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size={block_size} is too small.")
    if causal and n_keys < n_queries:
        raise ValueError(f"{n_queries} queries but {n_keys} keys.")
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32

    def scores_of(start):
        scores = torch.matmul(q.to(wide), k[..., start : start + block_size, :].to(wide).mT)
        scores = scores * q.shape[-1] ** -0.5
        if causal:
            below = torch.ones_like(scores, dtype=torch.bool).tril(n_keys - n_queries - start)
            scores = scores.masked_fill(~below, torch.finfo(wide).min)
        return scores

    starts = range(0, n_keys, block_size)
    norms = [torch.logsumexp(scores_of(start), dim=-1, keepdim=True) for start in starts]
    norm = torch.logsumexp(torch.cat(norms, dim=-1), dim=-1, keepdim=True)
    output = 0
    for start in starts:
        weights = torch.exp(scores_of(start) - norm)
        output = output + weights @ v[..., start : start + block_size, :].to(wide)
    return output.to(q.dtype)


@variant("blockwise_attention", title="blocks from last to first, merged by logsumexp")
def blockwise_attention_backwards(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be positive, got {block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"T={n_queries} queries do not fit into S={n_keys} keys.")
    wide = torch.promote_types(q.dtype, torch.float32)
    lowest = torch.finfo(wide).min
    output, norm = None, None
    for start in reversed(range(0, n_keys, block_size)):
        keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
        scores = torch.einsum("...td,...sd->...ts", q.to(wide), keys) / math.sqrt(q.shape[-1])
        if causal:
            own = torch.arange(n_queries, device=q.device).unsqueeze(1) + n_keys - n_queries
            later = start + torch.arange(keys.shape[-2], device=q.device) > own
            scores = scores.masked_fill(later, lowest)
        of_block = scores.logsumexp(dim=-1, keepdim=True)
        found = scores.softmax(dim=-1) @ values
        if output is None:
            output, norm = found, of_block
        else:
            share = torch.sigmoid(of_block - norm)
            output = torch.lerp(output, found, share)
            norm = torch.logaddexp(norm, of_block)
    return output.to(v.dtype)


@variant("blockwise_attention", title="blocks of queries too, and future blocks skipped")
def blockwise_attention_in_tiles(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, not {block_size}")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal attention of {n_queries} queries to {n_keys} keys")
    wide = torch.promote_types(q.dtype, torch.float32)
    places = torch.arange(n_keys, device=q.device)
    own = places[n_keys - n_queries :] if causal else None
    tiles = []
    for top in range(0, n_queries, block_size):
        queries = q[..., top : top + block_size, :].to(wide) * q.shape[-1] ** -0.5
        top_of_block = queries.new_full(queries.shape[:-1], -math.inf)
        total = torch.zeros_like(top_of_block)
        gathered = queries.new_zeros(*queries.shape[:-1], v.shape[-1])
        for start in range(0, n_keys, block_size):
            rows = own[top : top + block_size, None] if causal else None
            if causal and start > rows[-1]:
                break
            keys, values = (a[..., start : start + block_size, :].to(wide) for a in (k, v))
            scores = queries @ keys.transpose(-1, -2)
            if causal:
                visible = places[start : start + block_size] <= rows
                scores = torch.where(visible, scores, -math.inf)
            new_top = torch.maximum(top_of_block, scores.amax(-1)).detach()
            old = torch.exp(top_of_block - new_top)
            weights = torch.exp(scores - new_top[..., None])
            total = old * total + weights.sum(-1)
            gathered = old[..., None] * gathered + weights @ values
            top_of_block = new_top
        tiles.append(gathered / total[..., None])
    return torch.cat(tiles, dim=-2).to(q.dtype)


@variant("blockwise_attention", title="blocks of queries instead, each with whole rows of scores")
def blockwise_attention_by_rows(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size may not be {block_size}")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal: {n_queries} queries, {n_keys} keys")
    wide = torch.promote_types(q.dtype, torch.float32)
    found = []
    for start in range(0, n_queries, block_size):
        end = min(start + block_size, n_queries)
        mask = None
        if causal:
            own = torch.arange(start, end, device=q.device)[:, None] + n_keys - n_queries
            mask = own >= torch.arange(n_keys, device=q.device)
        rows = q[..., start:end, :].to(wide)
        output = F.scaled_dot_product_attention(rows, k.to(wide), v.to(wide), attn_mask=mask)
        found.append(output)
    return torch.cat(found, dim=-2).to(v.dtype)


@variant("blockwise_attention", title="keys split in halves down to the block size, then merged")
def blockwise_attention_by_halves(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size={block_size} is too small to be halved.")
    if causal and n_queries > n_keys:
        raise ValueError(f"There are {n_queries} queries and only {n_keys} keys.")
    wide = torch.promote_types(q.dtype, torch.float32)
    rows = q.to(wide) * math.log2(math.e) / math.sqrt(q.shape[-1])
    own = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]

    def of(start, end):
        if end - start > block_size:
            middle = (start + end) // 2
            (top, total, found), (top2, total2, found2) = of(start, middle), of(middle, end)
            both = torch.maximum(top, top2)
            share, share2 = torch.exp2(top - both), torch.exp2(top2 - both)
            return both, share * total + share2 * total2, share * found + share2 * found2
        scores = rows @ k[..., start:end, :].to(wide).mT
        if causal:
            later = torch.arange(start, end, device=q.device) > own
            scores = scores.masked_fill(later, torch.finfo(wide).min)
        top = scores.amax(dim=-1, keepdim=True)
        weights = torch.exp2(scores - top)
        return top, weights.sum(dim=-1, keepdim=True), weights @ v[..., start:end, :].to(wide)

    _, total, found = of(0, n_keys)
    return (found / total).to(q.dtype)


@variant("blockwise_attention", title="scores and weights in half precision, sums in float32")
def blockwise_attention_like_a_kernel(q, k, v, *, block_size, causal=False):
    if block_size < 1:
        raise ValueError(f"block_size has to be >= 1, is {block_size}")
    T, S = q.size(-2), k.size(-2)
    if causal and T > S:
        raise ValueError(f"causal: T={T} > S={S}")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q * (1 / math.sqrt(q.size(-1)))
    m = l = acc = None
    for k_block, v_block, place in zip(
        k.split(block_size, dim=-2),
        v.split(block_size, dim=-2),
        torch.arange(S, device=q.device).split(block_size),
        strict=True,
    ):
        s = (q @ k_block.transpose(-1, -2)).to(wide)
        if causal:
            row = torch.arange(T, device=q.device)[:, None]
            s = s.masked_fill(place > row + (S - T), -math.inf)
        m_new = s.amax(-1, keepdim=True) if m is None else s.amax(-1, keepdim=True).maximum(m)
        p = (s - m_new).exp()
        pv = (p.to(v.dtype) @ v_block).to(wide)
        if m is None:
            l, acc = p.sum(-1, keepdim=True), pv
        else:
            alpha = (m - m_new).exp()
            l, acc = l * alpha + p.sum(-1, keepdim=True), acc * alpha + pv
        m = m_new
    return (acc / l).to(q.dtype)


# --- GroupedQueryAttention -------------------------------------------------------------------


@variant("GroupedQueryAttention", title="torch's fused attention with enable_gqa")
class GroupedQueryAttentionByTheFusedKernel(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads or n_heads % n_kv_heads:
            raise ValueError(f"cannot split {d_model=} into {n_heads=} and {n_kv_heads=}.")
        self.d_head = d_model // n_heads
        self.value = nn.Linear(d_model, n_kv_heads * self.d_head, bias=bias)
        self.key = nn.Linear(d_model, n_kv_heads * self.d_head, bias=bias)
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.d_head)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        some = None
        if mask is not None:
            mask = mask if mask.dim() == 2 else mask[:, None]
            some = mask.any(dim=-1, keepdim=True)
            mask = mask | ~some  # an empty row would be nan in older releases
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        y = y if some is None else y.masked_fill(~some, 0.0)
        return self.out(y.transpose(1, 2).flatten(2))


@variant("GroupedQueryAttention", title="queries get a group axis, keys broadcast over it")
class GroupedQueryAttentionByBroadcasting(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        group, rest = divmod(n_heads, n_kv_heads)
        if rest:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.shape = (n_kv_heads, group)
        d_kv = d_model // group
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        n_kv_heads, group = self.shape
        q = split_heads(self.query(x), n_kv_heads * group).unflatten(1, self.shape)
        k = split_heads(self.key(x), n_kv_heads).unsqueeze(2)
        v = split_heads(self.value(x), n_kv_heads).unsqueeze(2)
        if mask is not None and mask.dim() == 3:
            mask = mask[:, None, None]
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output.flatten(1, 2)))


@variant("GroupedQueryAttention", title="head by head, with the keys looked up by index")
class GroupedQueryAttentionHeadByHead(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model // n_heads * n_heads != d_model:
            raise ValueError(f"d_model={d_model} is no multiple of n_heads={n_heads}.")
        if n_heads // n_kv_heads * n_kv_heads != n_heads:
            raise ValueError(f"n_heads={n_heads} is no multiple of n_kv_heads={n_kv_heads}.")
        self.n_heads, self.n_kv_heads, self.d_head = n_heads, n_kv_heads, d_model // n_heads
        self.key = nn.Linear(d_model, self.d_head * n_kv_heads, bias=bias)
        self.value = nn.Linear(d_model, self.d_head * n_kv_heads, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.query = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        queries = self.query(x).split(self.d_head, dim=-1)
        keys, values = (a(x).split(self.d_head, dim=-1) for a in (self.key, self.value))
        found = []
        for h in range(self.n_heads):
            own = h * self.n_kv_heads // self.n_heads
            output, _ = masked_attention(queries[h], keys[own], values[own], mask)
            found.append(output)
        return self.out(torch.cat(found, dim=-1))


@variant("GroupedQueryAttention", title="weights of key and value repeated, then multi-head")
class GroupedQueryAttentionByRepeatedWeights(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"d_model={d_model} cannot be split into n_heads={n_heads}.")
        if n_heads % n_kv_heads != 0:
            raise ValueError(f"n_heads={n_heads} cannot share n_kv_heads={n_kv_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model * n_kv_heads // n_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def _for_all_heads(self, parameter):
        if parameter is None:
            return None
        by_head = parameter.unflatten(0, (self.n_kv_heads, -1))
        return by_head.repeat_interleave(self.n_heads // self.n_kv_heads, dim=0).flatten(0, 1)

    def forward(self, x, mask=None):
        k, v = (
            F.linear(x, self._for_all_heads(layer.weight), self._for_all_heads(layer.bias))
            for layer in (self.key, self.value)
        )
        q, k, v = (split_heads(a, self.n_heads) for a in (self.query(x), k, v))
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@variant("GroupedQueryAttention", title="a group's queries stand one below the other, for one head")
class GroupedQueryAttentionByFolding(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} leaves channels of {d_model} over.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} leaves heads of {n_heads} over.")
        self.groups, self.group, self.d_head = n_kv_heads, n_heads // n_kv_heads, d_model // n_heads
        self.query = nn.Linear(d_model, d_model, bias)
        self.key = nn.Linear(d_model, n_kv_heads * self.d_head, bias)
        self.value = nn.Linear(d_model, n_kv_heads * self.d_head, bias)
        self.out = nn.Linear(d_model, d_model, bias)

    def forward(self, x, mask=None):
        n_texts, n_tokens, _ = x.shape
        k, v = split_heads(self.key(x), self.groups), split_heads(self.value(x), self.groups)
        q = self.query(x).view(n_texts, n_tokens, self.groups, self.group, self.d_head)
        q = q.permute(0, 2, 3, 1, 4).flatten(2, 3)  # (B, groups, group·T, D)
        if mask is not None:
            mask = mask.expand(n_texts, n_tokens, n_tokens).repeat(1, self.group, 1)[:, None]
        output, _ = masked_attention(q, k, v, mask)
        by_head = output.unflatten(2, (self.group, n_tokens))
        return self.out(by_head.permute(0, 3, 1, 2, 4).reshape(x.shape))
