"""Right ways to write the cache of lesson 9 that differ from ours."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.cache import KVCache, cached_attention, cached_logits
from course_lib.transformer.generation import sample
from course_lib.transformer.masking import causal_mask, masked_attention, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads

from . import variant

# --- KVCache ---------------------------------------------------------------------------------


@variant("KVCache", title="one tensor for keys and values; length is a property of what is free")
class KVCacheInOneTensor:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self._memory = torch.zeros(
            2, batch_size, n_heads, capacity, d_head, dtype=dtype, device=device
        )
        self._n_free = capacity

    @property
    def length(self):
        return self._memory.shape[-2] - self._n_free

    def append(self, k, v):
        n_new, start = k.shape[-2], self.length
        if n_new > self._n_free:
            raise ValueError(
                f"capacity={self._memory.shape[-2]} leaves room for {self._n_free}, got {n_new}."
            )
        self._memory.narrow(-2, start, n_new).copy_(torch.stack([k, v]))
        self._n_free -= n_new
        return tuple(self._memory.narrow(-2, 0, self.length).unbind())

    def reset(self):
        self._n_free = self._memory.shape[-2]


@variant("KVCache", title="positions before heads in memory: what comes back is transposed")
class KVCachePositionsFirst:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        def memory():
            return torch.empty((capacity, batch_size, n_heads, d_head), dtype=dtype, device=device)

        self.k, self.v, self.length = memory(), memory(), 0

    def append(self, k, v):
        places = range(self.length, self.length + k.size(2))
        if places.stop > len(self.k):
            raise ValueError(f"{places.stop} positions are more than capacity={len(self.k)}")
        for memory, new in ((self.k, k), (self.v, v)):
            memory[places.start : places.stop] = new.permute(2, 0, 1, 3)
        self.length = places.stop
        return tuple(memory[: self.length].permute(1, 2, 0, 3) for memory in (self.k, self.v))

    def reset(self):
        self.length = 0


@variant("KVCache", title="memory is taken at the first append, by the keys' own dtype and device")
class KVCacheTakenLate:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.sizes = [batch_size, n_heads, capacity, d_head]
        self.options = {"dtype": dtype, "device": device}
        self.memory = None
        self.reset()

    def reset(self):
        self.length = 0

    def append(self, k, v):
        length = self.length + k.shape[2]
        if length > self.sizes[2]:
            raise ValueError(f"capacity is {self.sizes[2]}, got {length} positions")
        if self.memory is None:
            options = {name: it for name, it in self.options.items() if it is not None}
            self.memory = [torch.empty_like(k).new_zeros(self.sizes, **options) for _ in "kv"]
        for memory, new in zip(self.memory, [k, v], strict=True):
            torch.narrow(memory, 2, self.length, k.shape[2]).copy_(new)
        self.length = length
        return [memory[:, :, :length] for memory in self.memory]


@variant("KVCache", title="an nn.Module with buffers, filled position by position")
class KVCacheAsAModule(nn.Module):
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        super().__init__()
        for name in ("keys", "values"):
            memory = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
            self.register_buffer(name, memory, persistent=False)
        self.length = 0

    @torch.no_grad()
    def append(self, k, v):
        capacity = self.keys.size(2)
        if capacity - self.length < k.size(2):
            raise ValueError(f"no room: capacity={capacity}, holds {self.length}, got {k.size(2)}")
        for t in range(k.size(2)):
            self.keys.select(2, self.length).copy_(k.select(2, t))
            self.values.select(2, self.length).copy_(v.select(2, t))
            self.length += 1
        return self.keys[..., : self.length, :], self.values[..., : self.length, :]

    def reset(self):
        self.length = 0


# --- cached_attention ------------------------------------------------------------------------


@variant("cached_attention", title="torch's fused attention with a mask of its own")
def cached_attention_fused(q, k, v, cache):
    keys, values = cache.append(k, v)
    n_queries, n_keys = q.size(-2), keys.size(-2)
    seen = torch.ones((n_queries, n_keys), dtype=torch.bool, device=q.device)
    seen = seen.tril(diagonal=n_keys - n_queries)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)


@variant("cached_attention", title="query by query, each with as many keys as it may see; no mask")
def cached_attention_query_by_query(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    outputs = []
    for t in range(q.shape[2]):
        n_seen = n_old + t + 1
        scores = (q[:, :, t, None] * keys[:, :, :n_seen]).sum(dim=-1) / math.sqrt(q.shape[-1])
        weights = scores.softmax(dim=-1).unsqueeze(-1)
        outputs.append((weights * values[:, :, :n_seen]).sum(dim=2))
    return torch.stack(outputs, dim=2)


@variant("cached_attention", title="-inf added above the diagonal; no gradients; einsum")
@torch.no_grad()
def cached_attention_by_addition(q, k, v, cache):
    first = cache.length
    keys, values = cache.append(k=k, v=v)
    scores = torch.einsum("bhtd,bhsd->bhts", q * q.shape[-1] ** -0.5, keys)
    later = torch.full_like(scores[0, 0], -torch.inf).triu(first + 1)
    return torch.einsum("bhts,bhsd->bhtd", (scores + later).softmax(-1), values)


@variant("cached_attention", title="the last rows of a square mask, for chunks alone")
def cached_attention_last_rows(q, k, v, cache):
    keys, values = cache.append(k, v)
    if q.shape[2] == 1:
        return masked_attention(q, keys, values)[0]
    mask = causal_mask(keys.shape[2], device=q.device)[-q.shape[2] :]
    scores = q.matmul(keys.mT) / math.sqrt(q.shape[3])
    return masked_softmax(scores, mask).matmul(values)


# --- cached_logits ---------------------------------------------------------------------------


@variant("cached_logits", title="attention written out, with torch's fused function")
def cached_logits_written_out(model, ids, caches):
    n_texts, n_tokens = ids.shape
    n_old = caches[0].length
    x = model.embeddings(ids, offset=n_old)
    seen = torch.ones(n_tokens, n_old + n_tokens, dtype=torch.bool, device=ids.device).tril(n_old)
    for n, block in enumerate(model.blocks):
        qkv = block.attention.qkv(block.norm1(x))
        qkv = qkv.view(n_texts, n_tokens, 3, model.config.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, *caches[n].append(k, v), attn_mask=seen)
        x = x + block.attention.out(y.transpose(1, 2).reshape(n_texts, n_tokens, -1))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@variant("cached_logits", title="one token at a time, whatever the length; positions looked up")
def cached_logits_token_by_token(model, ids, caches):
    rows = []
    for token in ids.split(1, dim=1):
        place = torch.tensor([caches[-1].length], device=ids.device)
        x = model.embeddings.token(token) + model.embeddings.position(place)
        for block, cache in zip(model.blocks, caches, strict=False):
            q, k, v = (
                split_heads(a, model.config.n_heads)
                for a in block.attention.qkv(block.norm1(x)).tensor_split(3, dim=-1)
            )
            keys, values = cache.append(k, v)
            x = x + block.attention.out(merge_heads(masked_attention(q, keys, values)[0]))
            x = x + block.mlp(block.norm2(x))
        rows.append(model.head(model.norm(x)))
    return torch.cat(rows, dim=1)


@variant("cached_logits", title="each block runs itself, its attention exchanged meanwhile")
def cached_logits_by_exchange(model, ids, caches):
    class Cached(nn.Module):
        def __init__(self, attention, cache):
            super().__init__()
            self.attention, self.cache = attention, cache

        def forward(self, x, mask=None):
            q, k, v = split_heads(self.attention.qkv(x), 3 * model.config.n_heads).chunk(3, dim=-3)
            return self.attention.out(merge_heads(cached_attention(q, k, v, self.cache)))

    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        attention = block.attention
        block.attention = Cached(attention, cache)
        try:
            x = block(x)
        finally:
            block.attention = attention
    return model.head(model.norm(x))


@variant("cached_logits", title="by the weights: linear layers and embeddings as functions")
def cached_logits_by_weights(model, ids, caches):
    def heads(layer, x, n):
        rows = slice(n * x.shape[-1], (n + 1) * x.shape[-1])
        bias = None if layer.bias is None else layer.bias[rows]
        return split_heads(F.linear(x, layer.weight[rows], bias), model.config.n_heads)

    start = caches[0].length
    places = model.embeddings.position.weight[start : start + ids.shape[1]]
    x = F.embedding(ids, model.embeddings.token.weight) + places
    for block, cache in zip(model.blocks, caches, strict=True):
        y = block.norm1(x)
        q, k, v = (heads(block.attention.qkv, y, n) for n in range(3))
        y = merge_heads(cached_attention(q, k, v, cache))
        x = torch.addmm(x.flatten(0, 1), y.flatten(0, 1), block.attention.out.weight.T).view_as(x)
        x = x if block.attention.out.bias is None else x + block.attention.out.bias
        x = x + block.mlp(block.norm2(x))
    return model.norm(x) @ model.head.weight.T


# --- generate_cached -------------------------------------------------------------------------


@variant("generate_cached", title="prefill and loop apart, into a text of its full length")
def generate_cached_in_two_parts(model, ids, n_new, **sampling):
    n_texts, n_tokens = ids.shape
    config = model.config
    if n_tokens + n_new > config.context_length:
        raise ValueError(
            f"n_new must be at most {config.context_length - n_tokens} here, got n_new={n_new}"
        )
    text = ids.new_zeros(n_texts, n_tokens + n_new)
    text[:, :n_tokens] = ids
    if n_new == 0:
        return text
    like = next(model.parameters())
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            caches = [
                KVCache(
                    n_texts,
                    config.n_heads,
                    config.context_length,
                    config.d_model // config.n_heads,
                    dtype=like.dtype,
                    device=like.device,
                )
                for _ in range(config.n_layers)
            ]
            logits = cached_logits(model, ids, caches)
            for place in range(n_tokens, n_tokens + n_new):
                text[:, place] = sample(logits[:, -1], **sampling)
                if place + 1 < n_tokens + n_new:
                    logits = cached_logits(model, text[:, place : place + 1], caches)
    finally:
        for part, was_training in modes:
            part.training = was_training
    return text


@variant("generate_cached", title="feeds whatever the caches do not hold yet; no_grad as decorator")
@torch.no_grad()
def generate_cached_by_what_is_missing(model, ids, n_new, **sampling):
    total = ids.size(1) + n_new
    if total > model.config.context_length:
        raise ValueError(f"context_length={model.config.context_length} is less than {total}")
    modes = {part: part.training for part in model.modules()}
    model.train(False)
    try:
        width = model.config.d_model // model.config.n_heads
        options = {"dtype": model.norm.weight.dtype, "device": ids.device}
        caches = [
            KVCache(ids.size(0), model.config.n_heads, max(1, total - 1), width, **options)
            for _ in model.blocks
        ]
        while ids.size(1) < total:
            missing = ids[:, caches[0].length :]
            token = sample(cached_logits(model, missing, caches)[:, -1, :], **sampling)
            ids = torch.cat((ids, token.unsqueeze(1)), dim=-1)
        return ids.clone()
    finally:
        for part, mode in modes.items():
            part.training = mode


@variant("generate_cached", title="on a copy of the model; the prompt is fed in pieces")
def generate_cached_on_a_copy(model, ids, n_new, **sampling):
    context_length = model.config.context_length
    if ids.shape[1] + n_new > context_length:
        raise ValueError(
            f"{ids.shape[1]} + {n_new} tokens, but context_length is {context_length}."
        )
    still = copy.deepcopy(model).eval()
    sizes = (len(ids), still.config.n_heads, context_length)
    width = still.config.d_model // still.config.n_heads
    options = {"dtype": still.head.weight.dtype, "device": still.head.weight.device}
    caches = [KVCache(*sizes, width, **options) for _ in still.blocks]
    with torch.no_grad():
        for piece in ids[:, :-1].split(2, dim=1) if n_new and ids.shape[1] > 1 else []:
            cached_logits(still, piece, caches)
        for _ in range(n_new):
            logits = cached_logits(still, ids[:, -1:], caches)
            ids = torch.hstack([ids, sample(logits.squeeze(1), **sampling).reshape(-1, 1)])
    return ids if n_new else ids.clone()


@variant(
    "generate_cached", title="tokens come from a generator function, and are joined at the end"
)
def generate_cached_by_yielding(model, ids, n_new, **sampling):
    config, weight = model.config, model.embeddings.token.weight
    if n_new > config.context_length - ids.shape[1]:
        raise ValueError(f"no room for n_new={n_new} in context_length={config.context_length}.")

    def tokens():
        shape = (len(ids), config.n_heads, config.context_length, config.d_model // config.n_heads)
        caches = [KVCache(*shape, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
        new = ids
        while True:
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            yield new

    modes = [(part, part.training) for part in model.modules()]
    with torch.no_grad():
        try:
            model.eval()
            new = [token for token, _ in zip(tokens(), range(n_new), strict=False)] if n_new else []
        finally:
            for part, was_training in modes:
                part.training = was_training
    return torch.cat([ids, *new], dim=1)
