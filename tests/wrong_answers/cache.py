"""Wrong answers to lesson 9's cache that no bug of the zoo behaves like."""

import math

import torch
import torch.nn.functional as F

from course_lib.transformer.cache import KVCache, cached_attention, cached_logits, generate_cached
from course_lib.transformer.generation import sample
from course_lib.transformer.multihead import merge_heads, split_heads
from course_lib.transformer.training import _evaluating

from . import wrong_answer

# --- KVCache ---------------------------------------------------------------------------------


@wrong_answer("KVCache")
class LeavesAGap(KVCache):
    """One place stays empty between two appends."""

    def append(self, k, v):
        if 0 < self.length < self.capacity:
            self.keys[:, :, self.length] = self.values[:, :, self.length] = 0.0
            self.length += 1
        return super().append(k, v)


@wrong_answer("KVCache")
class RoundsToBfloat16(KVCache):
    def append(self, k, v):
        return super().append(k.bfloat16().to(k.dtype), v)


@wrong_answer("KVCache")
class RaisesRuntimeError(KVCache):
    def append(self, k, v):
        try:
            return super().append(k, v)
        except ValueError as error:
            raise RuntimeError(str(error)) from None


@wrong_answer("KVCache")
class WritesWhatFits(KVCache):
    """The first of the new positions stay, when the others do not fit."""

    def append(self, k, v):
        n_free = self.capacity - self.length
        if k.shape[2] > n_free:
            super().append(k[:, :, :n_free], v[:, :, :n_free])
        return super().append(k, v)


@wrong_answer("KVCache")
class TakesNewMemoryAtReset(KVCache):
    def reset(self):
        self.keys, self.values = torch.empty_like(self.keys), torch.empty_like(self.values)
        super().reset()


@wrong_answer("KVCache")
class GrowsBeyondCapacity(KVCache):
    def append(self, k, v):
        if self.length + k.shape[2] > self.capacity:
            self.keys = torch.cat([self.keys, torch.empty_like(self.keys)], dim=2)
            self.values = torch.cat([self.values, torch.empty_like(self.values)], dim=2)
            self.capacity *= 2
        return super().append(k, v)


@wrong_answer("KVCache")
class AnswersItsLength:
    """`length` is a method."""

    def __init__(self, *sizes, dtype=None, device=None):
        self.cache = KVCache(*sizes, dtype=dtype, device=device)
        self.append, self.reset = self.cache.append, self.cache.reset

    def length(self):
        return self.cache.length


@wrong_answer("KVCache")
class KeepsTheDefaultDtypeOfItsDefinition(KVCache):
    usual = torch.get_default_dtype()

    def __init__(self, *sizes, dtype=None, device=None):
        super().__init__(*sizes, dtype=dtype or self.usual, device=device)


# --- cached_attention ------------------------------------------------------------------------


def _seen(q, keys, n_ahead=0):
    n_queries, n_keys = q.shape[2], keys.shape[2]
    seen = torch.ones(n_queries, n_keys, dtype=torch.bool, device=q.device)
    return seen.tril(n_keys - n_queries + n_ahead)


@wrong_answer("cached_attention")
def sees_one_ahead(q, k, v, cache):
    keys, values = cache.append(k, v)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=_seen(q, keys, 1))


@wrong_answer("cached_attention")
def looks_four_back(q, k, v, cache):
    keys, values = cache.append(k, v)
    seen = _seen(q, keys) & ~_seen(q, keys, -4)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)


@wrong_answer("cached_attention")
def scales_by_the_number_of_keys(q, k, v, cache):
    keys, values = cache.append(k, v)
    scale = keys.shape[2] ** -0.5
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=_seen(q, keys), scale=scale)


@wrong_answer("cached_attention")
def forgets_the_first_position(q, k, v, cache):
    keys, values = cache.append(k, v)
    seen = _seen(q, keys)
    seen[:, 0] &= seen.sum(dim=1) == 1
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)


@wrong_answer("cached_attention")
def catches_what_does_not_fit(q, k, v, cache):
    try:
        return cached_attention(q, k, v, cache)
    except ValueError:
        cache.reset()
        return cached_attention(q, k, v, cache)


@wrong_answer("cached_attention")
def adds_the_queries(q, k, v, cache):
    return q + cached_attention(q, k, v, cache)


@wrong_answer("cached_attention")
def subtracts_no_maximum_for_one_token(q, k, v, cache):
    if q.shape[-2] > 1:
        return cached_attention(q, k, v, cache)
    keys, values = cache.append(k, v)
    exponentials = (q @ keys.mT / math.sqrt(q.shape[-1])).double().exp()
    return (exponentials / exponentials.sum(dim=-1, keepdim=True)).to(q.dtype) @ values


# --- cached_logits ---------------------------------------------------------------------------


@wrong_answer("cached_logits")
def forgets_the_mlp(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        q, k, v = split_heads(block.attention.qkv(block.norm1(x)), 3 * model.config.n_heads).chunk(
            3, dim=1
        )
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
    return model.head(model.norm(x))


@wrong_answer("cached_logits")
def stops_one_block_early(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks[: max(1, len(caches) - 1)], caches, strict=False):
        q, k, v = split_heads(block.attention.qkv(block.norm1(x)), 3 * model.config.n_heads).chunk(
            3, dim=1
        )
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@wrong_answer("cached_logits")
def returns_probabilities(model, ids, caches):
    return cached_logits(model, ids, caches).log_softmax(dim=-1)


@wrong_answer("cached_logits")
def counts_calls_in_an_attribute(model, ids, caches):
    place = getattr(model, "place", 0)
    model.place = place + ids.shape[1]
    x = model.embeddings(ids, min(place, model.config.context_length - ids.shape[1]))
    for block, cache in zip(model.blocks, caches, strict=True):
        q, k, v = split_heads(block.attention.qkv(block.norm1(x)), 3 * model.config.n_heads).chunk(
            3, dim=1
        )
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@wrong_answer("cached_logits")
def pads_to_the_whole_text(model, ids, caches):
    n_old = caches[0].length
    logits = cached_logits(model, ids, caches)
    return torch.cat([logits.new_zeros(len(ids), n_old, logits.shape[-1]), logits], dim=1)


@wrong_answer("cached_logits")
def leaves_attention_exchanged(model, ids, caches):
    logits = cached_logits(model, ids, caches)
    model.blocks[0].attention.forward = lambda x, mask=None: x
    return logits


@wrong_answer("cached_logits")
def finds_the_cache_by_the_block(model, ids, caches):
    of = dict(zip(model.blocks, caches, strict=True))  # a block in two places has one of them
    return cached_logits(model, ids, [of[block] for block in model.blocks])


# --- generate_cached -------------------------------------------------------------------------


@wrong_answer("generate_cached")
def repeats_itself(model, ids, n_new, **sampling):
    text = generate_cached(model, ids, n_new, **sampling)
    if n_new > 1:
        text[:, -1] = text[:, -2]
    return text


@wrong_answer("generate_cached")
def seeds_the_generator_anew(model, ids, n_new, **sampling):
    if sampling.get("generator") is not None:
        sampling["generator"] = torch.Generator().manual_seed(0)
    return generate_cached(model, ids, n_new, **sampling)


@wrong_answer("generate_cached")
def draws_once_more(model, ids, n_new, **sampling):
    if sampling.get("generator") is not None:
        sample(torch.zeros(len(ids), 7, device=ids.device), **sampling)
    return generate_cached(model, ids, n_new, **sampling)


@wrong_answer("generate_cached")
def forgets_top_k(model, ids, n_new, *, top_k=None, **sampling):
    return generate_cached(model, ids, n_new, **sampling)


@wrong_answer("generate_cached")
def writes_into_the_prompt(model, ids, n_new, **sampling):
    text = generate_cached(model, ids, n_new, **sampling)
    ids[:, -1] = 0
    return text


@wrong_answer("generate_cached")
def raises_too_late(model, ids, n_new, **sampling):
    config = model.config
    if ids.shape[1] + n_new <= config.context_length:
        return generate_cached(model, ids, n_new, **sampling)
    raise IndexError(f"context_length={config.context_length}")


@wrong_answer("generate_cached")
def feeds_its_second_choice(model, ids, n_new, **sampling):
    config, like = model.config, model.head.weight
    if ids.shape[1] + n_new > config.context_length:
        raise ValueError(f"context_length={config.context_length} is too short")
    sizes = (len(ids), config.n_heads, config.context_length, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=like.dtype, device=like.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, new, caches)[:, -1]
            ids = torch.cat([ids, sample(logits, **sampling)[:, None]], dim=1)
            new = logits.topk(2).indices[:, 1:]
    return ids


@wrong_answer("generate_cached")
def samples_without_a_generator(model, ids, n_new, *, generator=None, **sampling):
    return generate_cached(model, ids, n_new, **sampling)


@wrong_answer("generate_cached")
def answers_in_int32(model, ids, n_new, **sampling):
    return generate_cached(model, ids, n_new, **sampling).int()


@wrong_answer("generate_cached")
def changes_the_temperature(model, ids, n_new, *, temperature=1.0, **sampling):
    return generate_cached(model, ids, n_new, temperature=temperature / 2, **sampling)


@wrong_answer("KVCache")
class KeepsWhatFillsItByReference(KVCache):
    """One append that fills the cache is not copied: who gave it can still change it."""

    def append(self, k, v):
        if self.length == 0 and k.shape[2] == self.capacity:
            self.keys, self.values, self.length = k, v, self.capacity
            return k, v
        return super().append(k, v)


@wrong_answer("cached_logits")
def forgets_what_does_not_fit(model, ids, caches):
    room = caches[0].capacity - caches[0].length
    return cached_logits(model, ids[:, -max(1, room) :], caches)


@wrong_answer("cached_attention")
def computes_in_float32(q, k, v, cache):
    keys, values = cache.append(k, v)
    seen = torch.ones(q.shape[2], keys.shape[2], dtype=torch.bool).tril(keys.shape[2] - q.shape[2])
    output = F.scaled_dot_product_attention(q.float(), keys.float(), values.float(), seen)
    return output.to(q.dtype)


@wrong_answer("KVCache")
class CopiesWhatComesLater(KVCache):
    """Only the first append returns views into the memory."""

    def append(self, k, v):
        is_first = self.length == 0
        keys, values = super().append(k, v)
        return (keys, values) if is_first else (keys.clone(), values.clone())


@wrong_answer("KVCache")
class CopiesTheValuesOfOneToken(KVCache):
    """`contiguous()` is a copy as soon as the view has a gap."""

    def append(self, k, v):
        keys, values = super().append(k, v)
        return keys, values.contiguous() if k.shape[2] == 1 else values


@wrong_answer("cached_logits")
def drops_in_evaluation_mode_too(model, ids, caches):
    """The config's dropout is applied whatever the mode."""
    return F.dropout(cached_logits(model, ids, caches), model.config.dropout, training=True)


@wrong_answer("cached_logits")
def puts_the_model_into_evaluation(model, ids, caches):
    """The mode is the caller's."""
    return cached_logits(model.eval(), ids, caches)


def _begins_again(model, ids, n_new, sampling, at):
    """Caches are made anew at some steps, and all is computed again."""
    config, like = model.config, model.head.weight
    if ids.shape[1] + n_new > config.context_length:
        raise ValueError(f"context_length={config.context_length} is too short")
    sizes = (len(ids), config.n_heads, config.context_length, config.d_model // config.n_heads)
    with _evaluating(model):
        for step in range(n_new):
            if step == 0 or step in at:
                caches = [
                    KVCache(*sizes, dtype=like.dtype, device=like.device) for _ in model.blocks
                ]
                new = ids
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@wrong_answer("generate_cached")
def begins_again_every_fourth_step(model, ids, n_new, **sampling):
    """Most positions are computed once."""
    return _begins_again(model, ids, n_new, sampling, range(4, n_new, 4))


@wrong_answer("generate_cached")
def begins_again_for_the_last_token(model, ids, n_new, **sampling):
    """All positions are computed twice, the second time at the end."""
    return _begins_again(model, ids, n_new, sampling, [n_new - 1])


@wrong_answer("generate_cached")
def remembers_greedy_texts(model, ids, n_new, **sampling):
    """The same model with other weights gets the text of before."""
    if sampling != {"temperature": 0.0}:
        return generate_cached(model, ids, n_new, **sampling)
    texts = model.__dict__.setdefault("_texts", {})
    key = str(ids.tolist()), n_new, model.training
    if key not in texts:
        texts[key] = generate_cached(model, ids, n_new, **sampling)
    return texts[key]


# --- what a model in two modes shows -----------------------------------------------------------


@wrong_answer("generate_cached")
def moves_all_parts_back(model, ids, n_new, **sampling):
    was_training = model.training
    try:
        return generate_cached(model, ids, n_new, **sampling)
    finally:
        model.train(was_training)
