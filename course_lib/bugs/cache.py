"""What goes wrong in lesson 9 with the cache: old positions lost, new ones numbered wrongly."""

import math

import torch
import torch.nn.functional as F

from course_lib.transformer.cache import KVCache, cached_attention, cached_logits
from course_lib.transformer.generation import generate, sample
from course_lib.transformer.masking import causal_mask, masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads
from course_lib.transformer.training import _evaluating

from . import bug

# --- KVCache ---------------------------------------------------------------------------------


@bug(
    "KVCache",
    title="every append writes over the start",
    misconception="The new keys have a place waiting for them. It begins behind the old ones, at "
    "length, not at 0.",
    symptom="The first answer is right. Then the oldest positions are lost and the newest are "
    "whatever lay in the memory.",
)
class WritesOverTheStart:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.zeros(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        n_new = k.shape[2]
        if self.length + n_new > self.capacity:
            raise ValueError(f"got {self.length + n_new} positions and capacity={self.capacity}.")
        self.keys[:, :, :n_new] = k
        self.values[:, :, :n_new] = v
        self.length += n_new
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="append returns the new positions alone",
    misconception="The cache has kept the old ones, so that is done. They are kept for attention, "
    "which sees only what append returns.",
    symptom="Every step generates as if the text began with it.",
)
class ReturnsTheNewAlone:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, start:end], self.values[:, :, start:end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="append returns the whole memory, also what is not written yet",
    misconception="The rest is empty. Memory that nobody has written holds numbers all the same, "
    "and attention gives each of them a weight.",
    symptom="S is the capacity from the first call on; texts depend on how large the cache is.",
)
class ReturnsTheWholeMemory:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.zeros(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys, self.values

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="the keys are kept in the place of the values, too",
    misconception="Two lines that look alike, one copied from the other. Shapes agree, so nothing "
    "complains.",
    symptom="Attention averages keys: the text is fluent nonsense from the first token on.",
)
class KeepsKeysTwice:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end] = k
        self.values[:, :, start:end] = k
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="only the keys are kept: of the values, the new ones alone come back",
    misconception="The cache is there to compare a query with old keys. What the old positions "
    "have to say, their values, is needed as well.",
    symptom="At the second call, S keys meet T values: an error about shapes.",
)
class KeepsKeysOnly:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end] = k
        self.length = end
        return self.keys[:, :, :end], v

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="the new positions are put in front of the old ones",
    misconception="Attention is a weighted sum, and a sum does not mind the order. The causal mask "
    "does: it takes the queries for the last positions.",
    symptom="Right token by token, as then every key may be seen; wrong for chunks of several.",
)
class PutsTheNewInFront:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        for memory, new in ((self.keys, k), (self.values, v)):
            memory[:, :, :end] = torch.cat([new, memory[:, :, : self.length]], dim=2)
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="length counts calls of append, not positions",
    misconception="One call is one token. The prompt is one call, too, and it has many.",
    symptom="The second token overwrites the second of the prompt. Right for prompts of one token.",
)
class CountsCalls:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.zeros(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length += 1
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="each append makes new memory and copies everything into it",
    misconception="torch.cat is the short way to append, and gives the right numbers. It copies "
    "all old positions for every new one: T² copies for T tokens.",
    symptom="Right results. Long texts slow down, and memory is needed twice at every step.",
)
class Concatenates:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.shape = (batch_size, n_heads, 0, d_head)
        self.options = {"dtype": dtype, "device": device}
        self.capacity = capacity
        self.reset()

    def append(self, k, v):
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys = torch.cat([self.keys, k], dim=2)
        self.values = torch.cat([self.values, v], dim=2)
        self.length = end
        return self.keys, self.values

    def reset(self):
        self.keys = torch.empty(self.shape, **self.options)
        self.values = torch.empty(self.shape, **self.options)
        self.length = 0


@bug(
    "KVCache",
    title="capacity is not checked",
    misconception="Too many positions will not fit, so torch will complain. A slice past the end "
    "is empty, and one row written into an empty slice vanishes without a word.",
    symptom="A full cache drops every new token in silence, and the text begins to repeat.",
)
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


@bug(
    "KVCache",
    title="it refuses the position that would fill it exactly",
    misconception="length == capacity is one too many. It is the last that fits: positions are "
    "counted from 0, their number from 1.",
    symptom="A cache for 1,024 positions stops at 1,023.",
)
class StaysOneShort:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end >= self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="it looks only whether it is full, not whether the new positions fit",
    misconception="While there is room, there is room for what comes. A chunk can be longer than "
    "what is left.",
    symptom="Right token by token; a prompt that is too long ends in torch's own error.",
)
class AsksOnlyWhetherItIsFull:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        if self.length >= self.capacity:
            raise ValueError(f"the cache is full: capacity={self.capacity}.")
        start, end = self.length, self.length + k.shape[2]
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="length grows before the check, and stays grown when append refuses",
    misconception="After an error nobody goes on. A server that catches it does, with the next "
    "and shorter chunk.",
    symptom="After one refusal the cache has a hole: positions that nobody has written.",
)
class CountsBeforeItChecks:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start = self.length
        self.length += k.shape[2]
        if self.length > self.capacity:
            raise ValueError(f"got {self.length} positions and capacity={self.capacity}.")
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="a full cache drops its oldest positions instead of refusing",
    misconception="The oldest matter least, so they make room. Their positions are lost with them: "
    "what is left was computed for other places in the text.",
    symptom="Past the context the text goes on, and gets worse without an error.",
    threads=(
        "huggingface/transformers#37574",
        "EricLBuehler/mistral.rs#246",
        "rasbt/LLMs-from-scratch#925",
        "karpathy/nanochat#452",
    ),
)
class DropsTheOldest:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        k, v = k[:, :, -self.capacity :], v[:, :, -self.capacity :]
        kept = min(self.length, self.capacity - k.shape[2])
        for memory, new in ((self.keys, k), (self.values, v)):
            memory[:, :, :kept] = memory[:, :, self.length - kept : self.length].clone()
            memory[:, :, kept : kept + k.shape[2]] = new
        self.length = kept + k.shape[2]
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="all caches share one memory",
    misconception="Memory for these sizes is there already: why take it again? Each layer and each "
    "text writes its own keys.",
    symptom="One layer alone is right. With two, each reads what the other has written.",
    threads=(
        "Lightning-AI/litgpt#1596",
        "Lightning-AI/litgpt#1647",
        "casper-hansen/AutoAWQ#178",
    ),
)
class SharesItsMemory:
    memory = {}  # noqa: RUF012  (shared by all instances: that is the bug)

    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        shape = (2, batch_size, n_heads, capacity, d_head)
        options = {"dtype": dtype, "device": device}
        place = (shape, str(options))
        if place not in self.memory:
            self.memory[place] = torch.zeros(shape, **options)
        self.keys, self.values = self.memory[place]
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="reset empties the memory, but not the count",
    misconception="A cache of zeros is an empty cache. It is a cache of positions whose keys are "
    "zero, and each of them gets a weight.",
    symptom="The second text begins at the end of the first, behind positions that say nothing.",
    threads=("EricLBuehler/candle-vllm#6",),
)
class ResetsToZeros:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.zeros(batch_size, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.keys.zero_()
        self.values.zero_()


@bug(
    "KVCache",
    title="the given dtype is ignored: it is always float32",
    misconception="float32 holds what float16 holds, and more. Attention multiplies keys with "
    "queries, and these must have one dtype.",
    symptom="An error in half precision: expected both to have the same dtype.",
)
class IgnoresTheDtype:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, device=device)
        self.values = torch.empty_like(self.keys)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


@bug(
    "KVCache",
    title="the given device is ignored",
    misconception="Tensors find each other. A new tensor is on the CPU unless told otherwise.",
    symptom="Right on a CPU. On a GPU: expected all tensors to be on the same device.",
)
class IgnoresTheDevice:
    def __init__(self, batch_size, n_heads, capacity, d_head, *, dtype=None, device=None):
        self.keys = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype)
        self.values = torch.empty(batch_size, n_heads, capacity, d_head, dtype=dtype)
        self.capacity, self.length = capacity, 0

    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"got {end} positions and capacity={self.capacity}.")
        self.keys[:, :, start:end], self.values[:, :, start:end] = k, v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        self.length = 0


# --- cached_attention ------------------------------------------------------------------------


@bug(
    "cached_attention",
    title="the mask is aligned top left: query t sees keys 0 to t",
    misconception="is_causal=True makes attention causal. It counts queries and keys from the same "
    "start, and with a cache the queries are the last.",
    symptom="The prompt is right. Then a new token sees the first token of the text, and no other.",
    threads=("pytorch/pytorch#108108", "rasbt/LLMs-from-scratch#697"),
)
def aligns_the_mask_top_left(q, k, v, cache):
    keys, values = cache.append(k, v)
    return F.scaled_dot_product_attention(q, keys, values, is_causal=True)


@bug(
    "cached_attention",
    title="top left for several queries, none for one: right only for prompt and single tokens",
    misconception="There are two cases, the prompt and one token. A chunk behind a cache is a "
    "third, in speculative decoding and in long prompts fed in parts.",
    symptom="Right for a whole prompt and for single tokens; chunks in between do not see the end "
    "of what is old.",
)
def aligns_the_mask_top_left_for_chunks(q, k, v, cache):
    keys, values = cache.append(k, v)
    return F.scaled_dot_product_attention(q, keys, values, is_causal=q.shape[2] > 1)


@bug(
    "cached_attention",
    title="no mask: new positions see later new ones",
    misconception="What is in the cache is the past, and the past may be seen. The new positions "
    "were appended too, all of them.",
    symptom="Right token by token. In a prompt every position but the last has seen the future, "
    "and the next block's keys with it.",
)
def masks_nothing(q, k, v, cache):
    keys, values = cache.append(k, v)
    output, _ = masked_attention(q, keys, values)
    return output


@bug(
    "cached_attention",
    title="masked only when the cache was empty",
    misconception="The mask is for the prompt; afterwards tokens come one at a time. Several may "
    "come at once.",
    symptom="Right for a whole prompt and for single tokens; chunks in between see their future.",
)
def masks_the_first_chunk_alone(q, k, v, cache):
    was_empty = cache.length == 0
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], device=q.device) if was_empty else None
    return masked_attention(q, keys, values, mask)[0]


@bug(
    "cached_attention",
    title="the mask has T columns, not S: it was made for the new positions alone",
    misconception="A causal mask is a square. With a cache there are more keys than queries.",
    symptom="Right in an empty cache and for single tokens; chunks in between are an error about "
    "shapes.",
    threads=("meta-llama/llama#899",),
)
def makes_a_square_mask(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], device=q.device)
    return masked_attention(q, keys, values, mask)[0]


@bug(
    "cached_attention",
    title="the new positions do not see themselves, only what is older",
    misconception="The cache holds the past, and the present is not past yet. In the model, each "
    "position attends to itself as well.",
    symptom="The first token of a text has nothing to attend to; all others miss the newest word.",
    threads=("harvard-edge/cs249r_book#1953",),
)
def leaves_the_new_position_out(q, k, v, cache):
    keys, values = cache.append(k, v)
    n_queries, n_keys = q.shape[2], keys.shape[2]
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=q.device)
    return masked_attention(q, keys, values, mask.tril(n_keys - n_queries - 1))[0]


@bug(
    "cached_attention",
    title="only what was in the cache before is attended to, then the new is appended",
    misconception="First use the cache, then bring it up to date. So the new positions are missing "
    "from what they attend to.",
    symptom="Every token is one step behind: it does not know itself, nor its own chunk.",
)
def attends_before_it_appends(q, k, v, cache):
    n_old = cache.length
    keys, values = cache.append(k, v)
    return masked_attention(q, keys[:, :, :n_old], values[:, :, :n_old])[0]


@bug(
    "cached_attention",
    title="the new positions see each other alone: the cache is filled, and not read",
    misconception="append keeps what is needed later. Later is now: what it returns is to be used.",
    symptom="The prompt is right; each later token is computed as if it stood alone.",
)
def ignores_what_the_cache_holds(q, k, v, cache):
    cache.append(k, v)
    mask = causal_mask(q.shape[2], device=q.device)
    return masked_attention(q, k, v, mask)[0]


@bug(
    "cached_attention",
    title="the new keys and values are appended twice",
    misconception="One call fills the cache, and a second one reads it. append does both at once.",
    symptom="Every position counts double, and the cache is full half way.",
)
def appends_twice(q, k, v, cache):
    cache.append(k, v)
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    return masked_attention(q, keys, values, mask)[0]


@bug(
    "cached_attention",
    title="keys and values are swapped",
    misconception="append takes two tensors of one shape, so nothing tells when they change "
    "places.",
    symptom="Attention compares queries with values: fluent nonsense.",
)
def swaps_keys_and_values(q, k, v, cache):
    values, keys = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    return masked_attention(q, keys, values, mask)[0]


@bug(
    "cached_attention",
    title="the scores are not divided by sqrt(D)",
    misconception="The scale was part of the attention that this replaces, and was left behind.",
    symptom="Attention is too sharp, and cached logits differ from the model's everywhere.",
)
def forgets_the_scale_of_the_scores(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    return masked_attention(q * math.sqrt(q.shape[-1]), keys, values, mask)[0]


@bug(
    "cached_attention",
    title="the keys are scaled in place, in the cache itself",
    misconception="What append returns belongs to the caller. It is a view: written into, the "
    "cache changes.",
    symptom="The first call is right. Then old keys are divided again at every step, until all "
    "old positions weigh the same.",
)
def scales_the_keys_in_the_cache(q, k, v, cache):
    keys, values = cache.append(k, v)
    keys.div_(math.sqrt(q.shape[-1]))
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    scores = (q @ keys.transpose(-2, -1)).masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ values


@bug(
    "cached_attention",
    title="the weights come back as well: a tuple of two",
    misconception="masked_attention gives output and weights, so its result is the result.",
    symptom="merge_heads gets a tuple: 'tuple' object has no attribute 'transpose'.",
)
def returns_the_weights_as_well(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    return masked_attention(q, keys, values, mask)


@bug(
    "cached_attention",
    title="the mask is made on the default device",
    misconception="A mask is small, so it does not matter where it is. It meets the scores.",
    symptom="Right on a CPU. On a GPU: expected all tensors to be on the same device.",
)
def masks_on_the_cpu(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2])
    return masked_attention(q, keys, values, mask)[0]


@bug(
    "cached_attention",
    title="what may not be seen gets a score of -1e4 instead of minus infinity",
    misconception="A large negative number is as good as minus infinity. Scores can be lower "
    "still.",
    symptom="Right on usual inputs; with large activations the future comes through.",
)
def masks_too_weakly(q, k, v, cache):
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[2], keys.shape[2], device=q.device)
    scores = q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, -1e4).softmax(dim=-1) @ values


# --- cached_logits ---------------------------------------------------------------------------


@bug(
    "cached_logits",
    title="the new tokens get the positions 0, 1, … instead of going on",
    misconception="The tokens of this call are numbered from 0, as in the model. The text has "
    "begun in an earlier call.",
    symptom="The prompt is right; then every token believes that it is the first.",
    threads=("ml-explore/mlx-lm#93",),
)
def counts_positions_from_0(model, ids, caches):
    x = model.embeddings(ids)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="positions are one too high once the caches hold something",
    misconception="With n tokens in the cache, the next is number n + 1. Positions count from 0: "
    "it is n.",
    symptom="Close to right: neighbouring positions look alike. The texts drift apart slowly.",
)
def counts_positions_one_too_high(model, ids, caches):
    offset = caches[0].length
    x = model.embeddings(ids, offset + 1 if offset else 0)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="positions are one too low once the caches hold something",
    misconception="The last position in the cache is length - 1, and there the new tokens go. "
    "They come behind it.",
    symptom="Close to right: neighbouring positions look alike. Each chunk begins with the number "
    "that the last one ended with.",
)
def counts_positions_one_too_low(model, ids, caches):
    x = model.embeddings(ids, max(0, caches[0].length - 1))
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="positions advance once for each block: the lengths of all caches are summed",
    misconception="Every cache has grown, so the text has. They all hold the same text.",
    symptom="Right with one block. With two, the positions run twice as fast, and off the table.",
)
def counts_positions_once_a_block(model, ids, caches):
    offset = sum(cache.length for cache in caches)
    most = model.config.context_length - ids.shape[1]
    x = model.embeddings(ids, min(offset, most))
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="the length of this call is added to the positions as well",
    misconception="offset = length after this call. The tokens begin at the length before it.",
    symptom="A prompt of T tokens is numbered from T on: nothing fits, from the first call.",
    threads=("skyzh/tiny-llm#46",),
)
def adds_the_new_length_to_the_positions(model, ids, caches):
    most = model.config.context_length - ids.shape[1]
    x = model.embeddings(ids, min(caches[0].length + ids.shape[1], most))
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="all blocks use the first cache",
    misconception="One text, one cache. Every block has keys and values of its own.",
    symptom="Right with one block. With more, each block reads the keys of the others, and the "
    "cache is full too soon.",
)
def uses_one_cache_for_all_blocks(model, ids, caches):
    x = model.embeddings(ids, caches[0].length // len(caches))
    for block in model.blocks:
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, caches[0])))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="the caches are accepted and not used: the model sees the new tokens alone",
    misconception="The argument is there, so caching is done. Nothing reads it.",
    symptom="The prompt is right; then every token is predicted from one token. No faster, either.",
    threads=("rasbt/LLMs-from-scratch#1048",),
)
def ignores_the_caches(model, ids, caches):
    return model(ids)


@bug(
    "cached_logits",
    title="all tokens so far go through the model again",
    misconception="The results are the same, and so is the method. The cache is there to save this "
    "work.",
    symptom="Right logits, and every step as slow as without a cache.",
)
def computes_everything_again(model, ids, caches):
    if caches[0].length == 0:
        caches[0].text = ids[:, :0]
    start = caches[0].length
    caches[0].text = torch.cat([caches[0].text, ids], dim=1)
    for cache in caches:
        cache.length = caches[0].text.shape[1]
    return model(caches[0].text)[:, start:]


@bug(
    "cached_logits",
    title="the last row alone comes back",
    misconception="Only the last row is needed to generate. The caller may want the others: to "
    "score a text, or to check several guesses at once.",
    symptom="Generation is right. Whoever compares with the model's logits finds one row of T.",
)
def returns_the_last_row(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x[:, -1:]))


@bug(
    "cached_logits",
    title="the final norm is left out",
    misconception="The blocks are the model. Between the last of them and the head stands a norm.",
    symptom="The likeliest token is often still right; the logits are not.",
)
def leaves_the_final_norm_out(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(x)


@bug(
    "cached_logits",
    title="attention's output projection is left out",
    misconception="Merged heads have the right shape, so they are the result. out mixes them.",
    symptom="Right shapes, wrong logits from the first call on.",
)
def leaves_the_output_projection_out(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + merge_heads(cached_attention(q, k, v, cache))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="the residual around attention is left out",
    misconception="Attention gathers what is needed, the token itself included. Its output is "
    "added to the stream, and does not replace it.",
    symptom="Right shapes, wrong logits from the first call on.",
)
def leaves_the_residual_out(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="keys and values are made of x before the norm",
    misconception="The norm belongs to the queries. qkv reads the normalised x for all three.",
    symptom="Right shapes, wrong logits from the first call on.",
)
def takes_keys_before_the_norm(model, ids, caches):
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        q, _, _ = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        _, k, v = block.attention.qkv(x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in (q, k, v))
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


@bug(
    "cached_logits",
    title="own caches are kept for the model, and the given ones are not used",
    misconception="A model has one cache. It has one for every text that it is in the middle of.",
    symptom="The first text is right. The next one goes on where it ended.",
    threads=("Lightning-AI/litgpt#1596", "Lightning-AI/litgpt#1647"),
)
def keeps_caches_of_its_own(model, ids, caches):
    if not hasattr(model, "own_caches"):
        sizes = (len(ids), model.config.n_heads, 4 * model.config.context_length)
        weight = model.head.weight
        model.own_caches = [
            KVCache(
                *sizes,
                model.config.d_model // model.config.n_heads,
                dtype=weight.dtype,
                device=weight.device,
            )
            for _ in model.blocks
        ]
    x = model.embeddings(ids, model.own_caches[0].length)
    for block, cache in zip(model.blocks, model.own_caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        x = x + block.attention.out(merge_heads(cached_attention(q, k, v, cache)))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


# --- generate_cached -------------------------------------------------------------------------


@bug(
    "generate_cached",
    title="everything is computed again at every step",
    misconception="generate_cached returns what generate returns, so calling it is enough. The "
    "point is what it does not compute.",
    symptom="Right texts, and the time a token takes grows with the text.",
)
def calls_generate(model, ids, n_new, **sampling):
    n_tokens, context_length = ids.shape[1] + n_new, model.config.context_length
    if n_tokens > context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={context_length}.")
    return generate(model, ids, n_new, **sampling)


@bug(
    "generate_cached",
    title="the whole text is fed at every step, into caches that hold it already",
    misconception="cached_logits finds out what is new. It takes all that it is given for new.",
    symptom="From the second step on, the text stands in the caches twice, then three times.",
)
def feeds_the_whole_text(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens * (n_new + 1), config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, ids, caches)
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the last token of the prompt is fed twice",
    misconception="First fill the caches with the prompt, then start from its last token. It was "
    "part of the prompt, and its logits were there already.",
    symptom="Every position is one too high, and one token counts double: close to right.",
)
def feeds_the_last_token_twice(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens + 1, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    with _evaluating(model):
        cached_logits(model, ids, caches)
        for _ in range(n_new):
            logits = cached_logits(model, ids[:, -1:], caches)
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate_cached",
    title="of the prompt, only the last token is fed",
    misconception="One token a step: the newest. The caches do not know the prompt by themselves.",
    symptom="The text does not depend on the prompt, but for its last token.",
)
def skips_the_prefill(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, ids[:, -1:], caches)
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the first row of the logits is read, not the last",
    misconception="Row 0 is the next token, as there is one row a step. The prompt has T rows, and "
    "the last of them speaks of what comes next.",
    symptom="One wrong token behind the prompt, and a text that follows it faithfully.",
)
def reads_the_first_row(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, new, caches)
            new = sample(logits[:, 0], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the caches of the last text are used again",
    misconception="Memory that is there need not be taken again. It still holds the other text.",
    symptom="The first text is right, and every later one goes on from it, or does not fit.",
    threads=("rasbt/LLMs-from-scratch#1048", "Lightning-AI/litgpt#1647"),
)
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


@bug(
    "generate_cached",
    title="the new tokens come back without the prompt",
    misconception="The caller knows the prompt. generate returns the whole text; so must this.",
    symptom="Texts begin in the middle; their shape is (B, n_new).",
)
def returns_the_new_tokens_alone(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new, chosen = ids, [ids[:, :0]]
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, new, caches)
            new = sample(logits[:, -1], **sampling)[:, None]
            chosen.append(new)
    return torch.cat(chosen, dim=1)


@bug(
    "generate_cached",
    title="one token too many: the prompt's own next token is not counted",
    misconception="The prefill gives one token, and then n_new steps follow. The first token is "
    "one of the n_new.",
    symptom="Texts of T + n_new + 1 tokens.",
)
def gives_one_token_too_many(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens + 1, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    with _evaluating(model):
        new = sample(cached_logits(model, ids, caches)[:, -1], **sampling)[:, None]
        ids = torch.cat([ids, new], dim=1)
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="n_new = 0 gives one token all the same",
    misconception="The prompt goes through the model in any case, and its last row gives a token. "
    "Nobody asked for it.",
    symptom="Right but for n_new = 0, where a token comes back that was not wanted.",
)
def gives_a_token_for_nothing(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    with _evaluating(model):
        new = sample(cached_logits(model, ids, caches)[:, -1], **sampling)[:, None]
        ids = torch.cat([ids, new], dim=1)
        for _ in range(n_new - 1):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="one token is drawn for the whole batch",
    misconception="The next token is the next token. Each text of the batch has its own.",
    symptom="Right for one text. In a batch, all texts go on with the words of the first.",
)
def draws_once_for_the_batch(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            logits = cached_logits(model, new, caches)
            new = sample(logits[:1, -1], **sampling).expand(len(ids))[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="sampling options are not passed on",
    misconception="**sampling is there for the caller's sake. It must reach sample.",
    symptom="temperature=0 still gives a new text every time.",
)
def drops_the_sampling_options(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1])[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="always greedy, whatever the sampling options say",
    misconception="The likeliest token is the best. The caller decides that, by temperature.",
    symptom="Every text of a prompt is the same.",
)
def is_always_greedy(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            new = cached_logits(model, new, caches)[:, -1].argmax(dim=-1, keepdim=True)
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="a long prompt is cropped instead of refused",
    misconception="generate crops, so this does. generate computes all positions again after it; "
    "cached ones keep the numbers they had.",
    symptom="No error, and another text than the one that was asked for.",
    threads=("huggingface/transformers#37574", "rasbt/LLMs-from-scratch#925"),
)
def crops_the_prompt(model, ids, n_new, **sampling):
    config = model.config
    weight = model.head.weight
    n_tokens = min(ids.shape[1] + n_new, config.context_length)
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids[:, -max(1, config.context_length - n_new) :]
    with _evaluating(model):
        for _ in range(min(n_new, config.context_length)):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="a text that fills the context exactly is refused",
    misconception="T + n_new must be less than context_length. As many positions as there are can "
    "be used.",
    symptom="The last token of the context is never written.",
)
def refuses_a_full_context(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens >= config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with _evaluating(model):
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the model is left in training mode: dropout acts on the text",
    misconception="Without a step of the optimizer, nothing is training. Dropout looks at the "
    "mode, not at the optimizer.",
    symptom="Texts of a model in training are worse than they need be, and greedy ones vary.",
    threads=("karpathy/nanoGPT#240",),
)
def forgets_evaluation_mode(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    with torch.no_grad():
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the model stays in evaluation mode afterwards",
    misconception="eval() for the text, and that is that. Whoever trains on has no dropout.",
    symptom="After the first sample text of a training run, the model overfits.",
)
def stays_in_evaluation_mode(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    model.eval()
    with torch.no_grad():
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate_cached",
    title="the model is in training mode afterwards, whatever it was before",
    misconception="A model is usually trained. One that was loaded to be used is not.",
    symptom="The first text is right; later calls of the model drop out at random.",
)
def always_ends_in_training_mode(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(n_new):
                new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
                ids = torch.cat([ids, new], dim=1)
    finally:
        model.train()
    return ids


@bug(
    "generate_cached",
    title="after an error, the model stays in evaluation mode",
    misconception="The last line puts everything back. An error leaves before it: try … finally.",
    symptom="A caught error during a sample text, and the training goes on without dropout.",
)
def restores_the_mode_only_on_success(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight, was_training = model.head.weight, model.training
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    model.eval()
    with torch.no_grad():
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    model.train(was_training)
    return ids


@bug(
    "generate_cached",
    title="gradients are recorded while it generates",
    misconception="eval() turns training off. It turns dropout off; gradients are another switch.",
    symptom="Right texts, and memory that grows with every token.",
)
def decodes_with_gradients(model, ids, n_new, **sampling):
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(f"n_new={n_new} is too much for context_length={config.context_length}.")
    weight, was_training = model.head.weight, model.training
    sizes = (len(ids), config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    new = ids
    model.eval()
    try:
        for _ in range(n_new):
            new = sample(cached_logits(model, new, caches)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    finally:
        model.train(was_training)
    return ids


@bug(
    "generate_cached",
    title="the caches are float32, whatever the model is",
    misconception="A cache is memory, and memory has no dtype. It has: torch's default.",
    symptom="Right in float32. In half precision, keys and queries do not fit together.",
)
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


@bug(
    "generate_cached",
    title="the caches are made on the default device",
    misconception="KVCache takes dtype and device; the dtype was needed, so it was given.",
    symptom="Right on a CPU. On a GPU: expected all tensors to be on the same device.",
)
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
