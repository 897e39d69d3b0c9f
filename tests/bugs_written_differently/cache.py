"""The bugs of lesson 9's cache in other words."""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from course_lib.transformer.cache import KVCache, cached_attention, cached_logits
from course_lib.transformer.generation import sample
from course_lib.transformer.masking import causal_mask, masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads
from course_lib.transformer.training import _evaluating

from . import same_bug_as

# --- KVCache ---------------------------------------------------------------------------------


class _Cache:
    """What most of these have in common: one tensor for both, and a place to write next."""

    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        sizes = (2, batch_size, n_heads, capacity, d_head)
        self.both = torch.zeros(sizes, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def check(self, n_new):
        if n_new > self.capacity - self.length:
            raise ValueError(f"capacity={self.capacity}: no room for {n_new} more")

    def append(self, k, v):
        self.check(k.size(2))
        self.both[:, :, :, self.length : self.length + k.size(2)] = torch.stack([k, v])
        self.length += k.size(2)
        return self.answer()

    def answer(self):
        return tuple(self.both[:, :, :, : self.length])

    def reset(self):
        self.length = 0


@same_bug_as("WritesOverTheStart")
class NarrowFromZero(_Cache):
    def append(self, k, v):
        self.check(k.size(2))
        for memory, new in zip(self.both, (k, v), strict=True):
            memory.narrow(2, 0, new.size(2)).copy_(new)
        self.length += k.size(2)
        return self.answer()


@same_bug_as("ReturnsTheNewAlone")
class HandsBackTheLastSlice(_Cache):
    def append(self, k, v):
        super().append(k, v)
        return tuple(self.both.narrow(3, self.length - k.size(2), k.size(2)))


@same_bug_as("ReturnsTheWholeMemory")
class Everything(_Cache):
    def answer(self):
        return self.both[0], self.both[1]


@same_bug_as("KeepsKeysTwice")
class OneNameForTwo(_Cache):
    def append(self, k, v):
        return super().append(k, k)


@same_bug_as("KeepsKeysOnly")
class ValuesPassThrough(_Cache):
    def append(self, k, v):
        keys, _ = super().append(k, v)
        return keys, v


@same_bug_as("PutsTheNewInFront")
class Stack(_Cache):
    def append(self, k, v):
        self.check(k.size(2))
        self.both[:] = self.both.roll(k.size(2), dims=3)
        self.both[:, :, :, : k.size(2)] = torch.stack([k, v])
        self.length += k.size(2)
        return self.answer()


@same_bug_as("CountsCalls")
class OneStepACall(_Cache):
    def append(self, k, v):
        start = self.length
        keys, values = super().append(k, v)
        self.length = start + 1
        return keys, values


@same_bug_as("Concatenates")
class ListOfPieces:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.pieces, self.capacity, self.length = [], capacity, 0

    def append(self, k, v):
        if self.length + k.shape[2] > self.capacity:
            raise ValueError(f"capacity={self.capacity} is less than {self.length + k.shape[2]}")
        self.pieces.append((k.clone(), v.clone()))
        self.length += k.shape[2]
        return tuple(torch.cat(part, dim=2) for part in zip(*self.pieces, strict=True))

    def reset(self):
        self.pieces.clear()
        self.length = 0


@same_bug_as("StaysOneShort")
class LessThanCapacity(_Cache):
    def check(self, n_new):
        if not self.length + n_new < self.capacity:
            raise ValueError(f"{n_new} more do not fit, capacity={self.capacity}")


@same_bug_as("AsksOnlyWhetherItIsFull")
class FullOrNot(_Cache):
    def check(self, n_new):
        if self.length == self.capacity:
            raise ValueError(f"full: capacity={self.capacity}")


@same_bug_as("CountsBeforeItChecks")
class CountsInTheTest(_Cache):
    def append(self, k, v):
        start, self.length = self.length, self.length + k.size(2)
        if self.length > self.both.size(3):
            raise ValueError(f"capacity={self.both.size(3)}, asked for {self.length}")
        self.both[0, :, :, start : self.length] = k
        self.both[1, :, :, start : self.length] = v
        return self.answer()


@same_bug_as("DropsTheOldest")
class SlidingWindow(_Cache):
    def append(self, k, v):
        text = torch.cat([self.both[:, :, :, : self.length], torch.stack([k, v])], dim=3)
        text = text[:, :, :, -self.capacity :]
        self.length = text.size(3)
        self.both[:, :, :, : self.length] = text
        return self.answer()


@same_bug_as("SharesItsMemory")
class ClassMemory(_Cache):
    pool = {}  # noqa: RUF012  (shared by all instances: that is the bug)

    def __init__(self, *sizes, dtype=None, device=None):
        super().__init__(*sizes, dtype=dtype, device=device)
        self.both = self.pool.setdefault((sizes, dtype, device), self.both)


@same_bug_as("ResetsToZeros")
class FillsWithZeros(_Cache):
    def reset(self):
        self.both = self.both.mul_(0)


@same_bug_as("IgnoresTheDtype")
class NoDtype(_Cache):
    def __init__(self, *sizes, dtype=None, device=None):
        super().__init__(*sizes, device=device)


@same_bug_as("IgnoresTheDevice")
class NoDevice(_Cache):
    def __init__(self, *sizes, dtype=None, device=None):
        super().__init__(*sizes, dtype=dtype)


# --- cached_attention ------------------------------------------------------------------------


def _attend(q, keys, values, hidden):
    scores = torch.einsum("bhtd,bhsd->bhts", q, keys) / q.size(-1) ** 0.5
    return scores.masked_fill(hidden, -torch.inf).softmax(dim=-1) @ values


def _later(q, keys, shift):
    """True where a key is more than `shift` places behind the query's number."""
    t = torch.arange(q.size(2), device=q.device)[:, None]
    return torch.arange(keys.size(2), device=q.device) > t + shift


@same_bug_as("aligns_the_mask_top_left")
def numbers_queries_from_0(q, k, v, cache):
    keys, values = cache.append(k, v)
    return _attend(q, keys, values, _later(q, keys, 0))


@same_bug_as("aligns_the_mask_top_left_for_chunks")
def spares_single_tokens(q, k, v, cache):
    keys, values = cache.append(k, v)
    if q.size(2) == 1:
        return F.scaled_dot_product_attention(q, keys, values)
    return _attend(q, keys, values, _later(q, keys, 0))


@same_bug_as("masks_nothing")
def plain_attention(q, k, v, cache):
    return F.scaled_dot_product_attention(q, *cache.append(k, v))


@same_bug_as("masks_the_first_chunk_alone")
def causal_only_at_first(q, k, v, cache):
    keys, values = cache.append(k, v)
    is_first = keys.size(2) == q.size(2)
    return F.scaled_dot_product_attention(q, keys, values, is_causal=is_first)


@same_bug_as("makes_a_square_mask")
def square_triangle(q, k, v, cache):
    keys, values = cache.append(k, v)
    hidden = torch.ones(q.size(2), q.size(2), dtype=torch.bool, device=q.device).triu(1)
    return _attend(q, keys, values, hidden)


@same_bug_as("leaves_the_new_position_out")
def strictly_older(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    hidden = _later(q, keys, n_old - 1)
    return _attend(q, keys, values, hidden).nan_to_num(0.0)


@same_bug_as("attends_before_it_appends")
def updates_last(q, k, v, cache):
    n_old = cache.length
    output = torch.zeros_like(q)
    if n_old:
        output = F.scaled_dot_product_attention(
            q, cache.keys[:, :, :n_old].clone(), cache.values[:, :, :n_old].clone()
        )
    cache.append(k, v)
    return output


@same_bug_as("ignores_what_the_cache_holds")
def own_chunk_only(q, k, v, cache):
    cache.append(k, v)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@same_bug_as("appends_twice")
def keys_then_values(q, k, v, cache):
    cache.append(k, v)
    return cached_attention(q, k, v, cache)


@same_bug_as("swaps_keys_and_values")
def the_other_order(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    return _attend(q, values, keys, _later(q, keys, n_old))


@same_bug_as("forgets_the_scale_of_the_scores")
def raw_scores(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    return F.scaled_dot_product_attention(
        q, keys, values, attn_mask=~_later(q, keys, n_old), scale=1.0
    )


@same_bug_as("returns_the_weights_as_well")
def output_and_weights(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    scores = (q @ keys.mT / math.sqrt(q.size(-1))).masked_fill(_later(q, keys, n_old), -torch.inf)
    weights = scores.softmax(-1)
    return weights @ values, weights


# --- cached_logits ---------------------------------------------------------------------------


def _run(model, ids, caches, offset=None, head=lambda model, x: model.head(model.norm(x))):
    """All steps, block by block; what may go wrong is an argument."""
    n_old = caches[0].length
    x = model.embeddings(ids, n_old if offset is None else offset)
    for block, cache in zip(model.blocks, caches, strict=True):
        x = x + _attention(block.attention, block.norm1(x), cache, model.config.n_heads)
        x = x + block.mlp(block.norm2(x))
    return head(model, x)


def _attention(attention, x, cache, n_heads):
    qkv = attention.qkv(x).unflatten(-1, (3, n_heads, -1))
    q, k, v = (a.transpose(1, 2) for a in qkv.unbind(2))
    return attention.out(cached_attention(q, k, v, cache).transpose(1, 2).flatten(2))


@same_bug_as("counts_positions_from_0")
def never_an_offset(model, ids, caches):
    return _run(model, ids, caches, offset=0)


@same_bug_as("counts_positions_one_too_high")
def next_number(model, ids, caches):
    n_old = caches[0].length
    return _run(model, ids, caches, offset=n_old and n_old + 1)


@same_bug_as("counts_positions_one_too_low")
def last_number(model, ids, caches):
    n_old = caches[-1].length
    return _run(model, ids, caches, offset=n_old - 1 if n_old > 0 else 0)


@same_bug_as("uses_one_cache_for_all_blocks")
def the_first_of_them(model, ids, caches):
    place = caches[0].length // len(model.blocks)
    return _run(model, ids, [caches[0]] * len(model.blocks), offset=place)


@same_bug_as("ignores_the_caches")
def just_the_model(model, ids, caches):
    return model.forward(ids)


@same_bug_as("returns_the_last_row")
def one_row(model, ids, caches):
    return _run(model, ids, caches)[:, -1:]


@same_bug_as("leaves_the_final_norm_out")
def straight_into_the_head(model, ids, caches):
    return _run(model, ids, caches, head=lambda model, x: x @ model.head.weight.mT)


@same_bug_as("leaves_the_residual_out")
def replaces_the_stream(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        x = _attention(block.attention, block.norm1(x), cache, model.config.n_heads)
        x = block.mlp(block.norm2(x)) + x
    return model.head(model.norm(x))


@same_bug_as("leaves_the_output_projection_out")
def merged_is_enough(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        qkv = block.attention.qkv(block.norm1(x)).unflatten(-1, (3, model.config.n_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = cached_attention(q, k, v, cache).transpose(1, 2).reshape(x.shape) + x
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


# --- generate_cached -------------------------------------------------------------------------


def _fresh(model, n_texts, capacity):
    config, like = model.config, model.norm.weight
    width = config.d_model // config.n_heads
    return [
        KVCache(n_texts, config.n_heads, capacity, width, dtype=like.dtype, device=like.device)
        for _ in range(config.n_layers)
    ]


def _room(model, ids, n_new):
    if ids.size(1) + n_new > model.config.context_length:
        raise ValueError(f"context_length={model.config.context_length} is too short")


@contextmanager
def _still(model):
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def _continue(model, ids, n_new, sampling, capacity=None):
    caches, new = _fresh(model, len(ids), capacity or model.config.context_length), ids
    for _ in range(n_new):
        new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
        ids = torch.cat([ids, new], 1)
    return ids


@same_bug_as("calls_generate")
def model_at_every_step(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        while n_new > 0:
            ids = torch.cat([ids, sample(model(ids)[:, -1], **sampling)[:, None]], 1)
            n_new -= 1
    return ids


@same_bug_as("calls_generate")
def fresh_caches_at_every_step(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        for _ in range(n_new):
            ids = _continue(model, ids, 1, sampling)
    return ids


@same_bug_as("feeds_the_whole_text")
def text_after_text(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        caches = _fresh(model, len(ids), 1000)
        for _ in range(n_new):
            token = sample(cached_logits(model, ids, caches)[:, -1], **sampling)
            ids = torch.hstack([ids, token.view(-1, 1)])
    return ids


@same_bug_as("feeds_the_last_token_twice")
def prefill_then_last(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        caches = _fresh(model, len(ids), model.config.context_length + 1)
        cached_logits(model, ids, caches)
        token = ids[:, -1:]
        for _ in range(n_new):
            token = sample(cached_logits(model, token, caches)[:, 0], **sampling).unsqueeze(1)
            ids = torch.cat([ids, token], 1)
    return ids


@same_bug_as("skips_the_prefill")
def starts_with_the_last(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        text = _continue(model, ids[:, -1:], n_new, sampling)
    return torch.cat([ids, text[:, 1:]], 1)


@same_bug_as("reads_the_first_row")
def row_0(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        caches, new = _fresh(model, len(ids), model.config.context_length), ids
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches).select(1, 0), **sampling)[:, None]
            ids = torch.cat([ids, new], 1)
    return ids


@same_bug_as("returns_the_new_tokens_alone")
def only_the_answer(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        return _continue(model, ids, n_new, sampling)[:, ids.size(1) :]


@same_bug_as("gives_one_token_too_many")
def one_more(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        return _continue(model, ids, n_new + 1, sampling, model.config.context_length + 1)


@same_bug_as("gives_a_token_for_nothing")
def at_least_one(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        return _continue(model, ids, max(1, n_new), sampling)


@same_bug_as("draws_once_for_the_batch")
def the_first_text_leads(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        caches, new = _fresh(model, len(ids), model.config.context_length), ids
        for _ in range(n_new):
            logits = cached_logits(model, new, caches)[:, -1]
            new = sample(logits[0:1], **sampling).repeat(len(ids)).unsqueeze(1)
            ids = torch.cat([ids, new], 1)
    return ids


@same_bug_as("drops_the_sampling_options")
def samples_as_it_comes(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        return _continue(model, ids, n_new, {})


@same_bug_as("is_always_greedy")
def temperature_0(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    with _still(model):
        return _continue(model, ids, n_new, {"temperature": 0.0})


@same_bug_as("refuses_a_full_context")
def strictly_less(model, ids, n_new, **sampling):
    if not ids.size(1) + n_new < model.config.context_length:
        raise ValueError(f"context_length={model.config.context_length} is too short")
    with _still(model):
        return _continue(model, ids, n_new, sampling)


@same_bug_as("forgets_evaluation_mode")
@torch.no_grad()
def no_grad_alone(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    return _continue(model, ids, n_new, sampling)


@same_bug_as("stays_in_evaluation_mode")
@torch.no_grad()
def eval_and_go(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    return _continue(model.eval(), ids, n_new, sampling)


@same_bug_as("always_ends_in_training_mode")
@torch.no_grad()
def train_at_the_end(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    model.train(False)
    try:
        return _continue(model, ids, n_new, sampling)
    finally:
        model.train(True)


@same_bug_as("restores_the_mode_only_on_success")
@torch.no_grad()
def puts_it_back_at_the_end(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    was_training = model.training
    text = _continue(model.eval(), ids, n_new, sampling)
    model.train(was_training)
    return text


@same_bug_as("decodes_with_gradients")
def eval_alone(model, ids, n_new, **sampling):
    _room(model, ids, n_new)
    was_training = model.training
    try:
        return _continue(model.eval(), ids, n_new, sampling)
    finally:
        model.train(was_training)


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("ChecksNothing")
class ChecksNothing:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        self.keys[:, :, start:end] = k
        self.values[:, :, start:end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@same_bug_as("scales_the_keys_in_the_cache")
def scales_the_keys_in_the_cache(q, k, v, cache):
    keys, values = cache.append(k, v)
    keys.div_(math.sqrt(q.shape[-1]))
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    scores = (q @ keys.transpose(-2, -1)).masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ values


@same_bug_as("masks_on_the_cpu")
def masks_on_the_cpu(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2])
    return masked_attention(q, keys, values, mask)[0]


@same_bug_as("masks_too_weakly")
def masks_too_weakly(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    scores = q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, -1e4).softmax(dim=-1) @ values


@same_bug_as("takes_keys_before_the_norm")
def takes_keys_before_the_norm(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        q, _, _ = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        _, k, v = block.attention.qkv(x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in (q, k, v))
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@same_bug_as("keeps_its_caches")
def keeps_its_caches(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    if not hasattr(model, "caches"):
        sizes = (len(ids), config.n_heads, config.context_length, config.d_model // config.n_heads)
        model.caches = [
            KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks
        ]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, new, model.caches)
            new = sample(logits[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@same_bug_as("makes_caches_of_float32")
def makes_caches_of_float32(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, device=ids.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@same_bug_as("makes_caches_on_the_cpu")
def makes_caches_on_the_cpu(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=model.head.weight.dtype) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids
