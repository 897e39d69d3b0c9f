"""What goes wrong in lesson 9 with the cache: old positions lost, new ones numbered wrongly."""

import copy
import math

import torch
import torch.nn.functional as F

from course_lib.transformer.generation import generate
from course_lib.transformer.masking import masked_softmax

from . import bugs, whole_bug

bugs("""KVCache:

WritesOverTheStart
    every append writes over the start
    believed: New positions are written where the memory begins. They belong behind the old ones,
        which are still needed.
    seen: The first answer is right. Then the oldest positions are lost and the newest are whatever
        lay in the memory.
    - self.keys = torch.empty(shape, dtype=dtype, device=device)
    - self.values = torch.empty(shape, dtype=dtype, device=device)
    + self.keys = torch.zeros(shape, dtype=dtype, device=device)
    + self.values = torch.zeros(shape, dtype=dtype, device=device)

    - self.keys[:, :, self.length : end] = k
    - self.values[:, :, self.length : end] = v
    + self.keys[:, :, : k.shape[-2]] = k
    + self.values[:, :, : v.shape[-2]] = v

ReturnsTheNewAlone
    append returns the new positions alone
    believed: The cache has kept the old ones, so that is done. But they are kept for attention,
        which sees only what append returns.
    seen: Every step generates as if the text began with it.
    - self.length = end
    - return self.keys[:, :, :end], self.values[:, :, :end]
    + start, self.length = self.length, end
    + return self.keys[:, :, start:end], self.values[:, :, start:end]

ReturnsTheWholeMemory
    append returns the whole memory, also what is not written yet
    believed: Memory that nobody has written is empty. It holds numbers all the same, and attention
        gives each of them a weight.
    seen: S is the capacity from the first call on; texts depend on how large the cache is.
    - self.keys = torch.empty(shape, dtype=dtype, device=device)
    - self.values = torch.empty(shape, dtype=dtype, device=device)
    + self.keys = torch.zeros(shape, dtype=dtype, device=device)
    + self.values = torch.zeros(shape, dtype=dtype, device=device)

    - return self.keys[:, :, :end], self.values[:, :, :end]
    + return self.keys, self.values

KeepsKeysTwice
    the keys are kept in the place of the values, too
    believed: Two lines so alike can be copied. One name was then not changed: the second memory is
        for the values.
    seen: Attention averages keys: the text is fluent nonsense from the first token on.
    - self.values[:, :, self.length : end] = v
    + self.values[:, :, self.length : end] = k

KeepsKeysOnly
    only the keys are kept: of the values, the new ones alone come back
    believed: The cache is there to compare queries with old keys. But what the old positions have
        to say, their values, is needed as well.
    seen: At the second call, S keys meet T values: an error about shapes.
    - return self.keys[:, :, :end], self.values[:, :, :end]
    + return self.keys[:, :, :end], v

PutsTheNewInFront
    the new positions are put in front of the old ones
    believed: Attention is a weighted sum, and a sum does not mind the order. But the causal mask
        does: the new positions are the last.
    seen: Right token by token, as then every key may be seen; wrong for chunks of several.
    - self.keys[:, :, self.length : end] = k
    - self.values[:, :, self.length : end] = v
    + for memory, new in ((self.keys, k), (self.values, v)):
    +     memory[:, :, :end] = torch.cat(
    +         [new, memory[:, :, : self.length]], dim=2
    +     )

CountsCalls
    length counts calls of append, not positions
    believed: One call is one token. A prompt is one call too, and has many.
    seen: The second token overwrites the second of the prompt. Right for prompts of one token.
    - self.length = end
    + self.length += 1

Concatenates
    each append makes new memory and copies everything into it
    believed: torch.cat is the short way to append. It gives the right numbers, but copies all old
        positions for every new one: T² copies for T tokens.
    seen: Right results. Long texts slow down, and memory is needed twice at every step.
    - shape = (batch_size, n_heads, capacity, d_head)
    + shape = (batch_size, n_heads, 0, d_head)

    - self.keys[:, :, self.length : end] = k
    - self.values[:, :, self.length : end] = v
    + self.keys = torch.cat([self.keys[:, :, : self.length], k], dim=2)
    + self.values = torch.cat(
    +     [self.values[:, :, : self.length], v], dim=2
    + )

ChecksNothing
    capacity is not checked
    believed: Too many positions will not fit, so torch will complain. But a slice past the end is
        empty, and one row written into it vanishes without a word.
    seen: A full cache drops every new token in silence, and the text begins to repeat.
    - if end > self.capacity:
    -     raise ValueError(
    -         f"the cache must have room for all positions, got {end} "
    -         f"and capacity={self.capacity}."
    -     )

StaysOneShort
    it refuses the position that would fill it exactly
    believed: length == capacity is one too many. It is the last that fits: a cache for n positions
        holds n.
    seen: A cache for 1,024 positions stops at 1,023.
    - if end > self.capacity:
    + if end >= self.capacity:

AsksOnlyWhetherItIsFull
    it looks only whether it is full, not whether the new positions fit
    believed: While there is room, there is room for what comes. But what comes can be longer than
        what is left.
    seen: Right token by token; a prompt that is too long ends in torch's own error.
    - if end > self.capacity:
    + if self.length >= self.capacity:

CountsBeforeItChecks
    length grows before the check, and stays grown when append refuses
    believed: After an error nobody goes on. Whoever catches it does, with a shorter piece: the
        cache must be as it was.
    seen: After one refusal the cache has a hole: positions that nobody has written.
    = end = self.length + k.shape[-2]
    + start, self.length = self.length, end

    - self.keys[:, :, self.length : end] = k
    - self.values[:, :, self.length : end] = v
    - self.length = end
    + self.keys[:, :, start:end] = k
    + self.values[:, :, start:end] = v

DropsTheOldest
    a full cache drops its oldest positions instead of refusing
    believed: The oldest matter least, so they make room. But what is left was computed for other
        places in the text: a full cache refuses.
    seen: Past the context the text goes on, and gets worse without an error.
    reported: huggingface/transformers#37574, EricLBuehler/mistral.rs#246,
        rasbt/LLMs-from-scratch#925, karpathy/nanochat#452
    - if end > self.capacity:
    -     raise ValueError(
    -         f"the cache must have room for all positions, got {end} "
    -         f"and capacity={self.capacity}."
    -     )
    - self.keys[:, :, self.length : end] = k
    - self.values[:, :, self.length : end] = v
    + end = min(end, self.capacity)
    + for memory, new in ((self.keys, k), (self.values, v)):
    +     memory[:, :, :end] = torch.cat(
    +         [memory[:, :, : self.length], new], dim=2
    +     )[:, :, -end:]

SharesItsMemory
    all caches share one memory
    believed: Caches of one size can share their memory. Each layer and each text keeps keys of its
        own, so each needs its own.
    seen: One layer alone is right. With two, each reads what the other has written.
    reported: Lightning-AI/litgpt#1596, Lightning-AI/litgpt#1647, casper-hansen/AutoAWQ#178
    + memory = {}  # of all caches
    = def __init__(

    - self.keys = torch.empty(shape, dtype=dtype, device=device)
    - self.values = torch.empty(shape, dtype=dtype, device=device)
    + made = torch.empty((2, *shape), dtype=dtype, device=device)
    + self.keys, self.values = self.memory.setdefault(
    +     (shape, dtype, device), made
    + )

ResetsToZeros
    reset empties the memory, but not the count
    believed: A cache of zeros is an empty cache. It still counts its positions, and attention gives
        each of their zero keys a weight.
    seen: The second text begins at the end of the first, behind positions that say nothing.
    reported: EricLBuehler/candle-vllm#6
    @ def reset
    - self.length = 0
    + self.keys.zero_()
    + self.values.zero_()

IgnoresTheDtype
    the given dtype is ignored: it is always float32
    believed: float32 holds what float16 holds, and more. But attention multiplies keys with
        queries, and these must have one dtype.
    seen: An error in half precision: expected both to have the same dtype.
    - self.keys = torch.empty(shape, dtype=dtype, device=device)
    - self.values = torch.empty(shape, dtype=dtype, device=device)
    + self.keys = torch.empty(shape, device=device)
    + self.values = torch.empty(shape, device=device)

IgnoresTheDevice
    the given device is ignored
    believed: A new tensor goes where it is needed. It goes to the CPU unless told otherwise.
    seen: Right on a CPU. On a GPU: expected all tensors to be on the same device.
    - self.keys = torch.empty(shape, dtype=dtype, device=device)
    - self.values = torch.empty(shape, dtype=dtype, device=device)
    + self.keys = torch.empty(shape, dtype=dtype)
    + self.values = torch.empty(shape, dtype=dtype)
""")


bugs("""cached_attention:

aligns_the_mask_top_left
    the mask is aligned top left: query t sees keys 0 to t
    believed: tril, or is_causal=True, is the causal mask. It starts at the top left; with a cache,
        the queries are the last of the positions.
    seen: The prompt is right. Then a new token sees the first token of the text, and no other.
    reported: pytorch/pytorch#108108, rasbt/LLMs-from-scratch#697
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    - output, _ = masked_attention(q, keys, values, mask)
    - return output
    + return F.scaled_dot_product_attention(q, keys, values, is_causal=True)

aligns_the_mask_top_left_for_chunks
    top left for several queries, none for one: right only for prompt and single tokens
    believed: There are two cases, the prompt and one token. A piece of several tokens behind a
        cache is a third.
    seen: Right for a whole prompt and for single tokens; chunks in between do not see the end of
        what is old.
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    - output, _ = masked_attention(q, keys, values, mask)
    - return output
    + return F.scaled_dot_product_attention(
    +     q, keys, values, is_causal=q.shape[-2] > 1
    + )

masks_nothing
    no mask: new positions see later new ones
    believed: What is in the cache is the past, and may be seen. But the new positions have been
        appended too, and must not see each other's future.
    seen: Right token by token. In a prompt every position but the last has seen the future, and the
        next block's keys with it.
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    - output, _ = masked_attention(q, keys, values, mask)
    + output, _ = masked_attention(q, keys, values)

masks_the_first_chunk_alone
    masked only when the cache was empty
    believed: The mask is for the prompt; afterwards tokens come one at a time. But several may come
        at once.
    seen: Right for a whole prompt and for single tokens; chunks in between see their future.
    + was_empty = cache.length == 0
    = keys, values = cache.append(k, v)
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    + mask = causal_mask(q.shape[-2], device=q.device) if was_empty else None

makes_a_square_mask
    the mask has T columns, not S: it was made for the new positions alone
    believed: A causal mask is a square. But with a cache there are more keys than queries.
    seen: Right in an empty cache and for single tokens; chunks in between are an error about
        shapes.
    reported: meta-llama/llama#899
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    + mask = causal_mask(q.shape[-2], device=q.device)

leaves_the_new_position_out
    the new positions do not see themselves, only what is older
    believed: The cache holds the past, and a position is not its own past. But in the model each
        position attends to itself as well.
    seen: The first token of a text has nothing to attend to; all others miss the newest word.
    reported: harvard-edge/cs249r_book#1953
    = mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    + mask = mask.tril(keys.shape[-2] - q.shape[-2] - 1)

attends_before_it_appends
    only what was in the cache before is attended to, then the new is appended
    believed: First use the cache, then bring it up to date. But then the new positions are missing
        from what they attend to.
    seen: Every token is one step behind: it does not know itself, nor its own chunk.
    - keys, values = cache.append(k, v)
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    - output, _ = masked_attention(q, keys, values, mask)
    + keys, values = (
    +     cache.keys[:, :, : cache.length],
    +     cache.values[:, :, : cache.length],
    + )
    + output, _ = masked_attention(q, keys, values)
    + cache.append(k, v)

ignores_what_the_cache_holds
    the new positions see each other alone: the cache is filled, and not read
    believed: append only keeps what later calls need. This call needs the old positions as well,
        and append returns them all.
    seen: The prompt is right; each later token is computed as if it stood alone.
    - keys, values = cache.append(k, v)
    + cache.append(k, v)
    + keys, values = k, v

appends_twice
    the new keys and values are appended twice
    believed: One call fills the cache, and a second one reads it. append does both at once.
    seen: Every position counts double, and the cache is full half way.
    + cache.append(k, v)
    = keys, values = cache.append(k, v)

swaps_keys_and_values
    keys and values are swapped
    believed: It does not matter which comes first. append takes and returns keys, then values; both
        have one shape, so nothing complains.
    seen: Attention compares queries with values: fluent nonsense.
    - keys, values = cache.append(k, v)
    + values, keys = cache.append(k, v)

forgets_the_scale_of_the_scores
    the scores are not divided by sqrt(D)
    believed: The scale belongs to attention without a cache. With one, the scores are divided all
        the same.
    seen: Attention is too sharp, and cached logits differ from the model's everywhere.
    - output, _ = masked_attention(q, keys, values, mask)
    + output, _ = masked_attention(
    +     q * math.sqrt(q.shape[-1]), keys, values, mask
    + )

scales_the_keys_in_the_cache
    the keys are scaled in place, in the cache itself
    believed: What append returns is the caller's own. It is a view: whoever writes into it changes
        the cache.
    seen: The first call is right. Then old keys are divided again at every step, until all old
        positions weigh the same.
    - output, _ = masked_attention(q, keys, values, mask)
    + keys /= math.sqrt(q.shape[-1])
    + output = masked_softmax(q @ keys.transpose(-2, -1), mask) @ values

returns_the_weights_as_well
    the weights come back as well: a tuple of two
    believed: masked_attention gives output and weights, so both are the result. Here the output
        alone is asked for.
    seen: merge_heads gets a tuple: 'tuple' object has no attribute 'transpose'.
    - output, _ = masked_attention(q, keys, values, mask)
    - return output
    + return masked_attention(q, keys, values, mask)

masks_on_the_cpu
    the mask is made on the default device
    believed: A mask is small, so its device does not matter. But it meets the scores, and must be
        where they are.
    seen: Right on a CPU. On a GPU: expected all tensors to be on the same device.
    - mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    + mask = causal_mask(q.shape[-2], keys.shape[-2])

masks_too_weakly
    what may not be seen gets a score of -1e4 instead of minus infinity
    believed: A large negative number is as good as minus infinity. A visible score may be lower
        still, and then the hidden key wins.
    seen: Right on usual inputs; with large activations the future comes through.
    - output, _ = masked_attention(q, keys, values, mask)
    + scores = q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + output = scores.masked_fill(~mask, -1e4).softmax(dim=-1) @ values
""")


bugs("""cached_logits:

counts_positions_from_0
    the new tokens get the positions 0, 1, … instead of going on
    believed: The tokens of each call are numbered from 0. They go on where the text stands: it
        began in an earlier call.
    seen: The prompt is right; then every token believes that it is the first.
    reported: ml-explore/mlx-lm#93
    - x = model.embeddings(ids, caches[0].length)
    + x = model.embeddings(ids)

counts_positions_one_too_high
    positions are one too high once the caches hold something
    believed: With n tokens in the cache, the next is number n + 1. Positions count from 0: it is n.
    seen: Close to right: neighbouring positions look alike. The texts drift apart slowly.
    - x = model.embeddings(ids, caches[0].length)
    + offset = caches[0].length
    + x = model.embeddings(ids, offset + 1 if offset else 0)

counts_positions_one_too_low
    positions are one too low once the caches hold something
    believed: The last position in the cache is length - 1, and there the new tokens go. They come
        behind it.
    seen: Close to right: neighbouring positions look alike. Each chunk begins with the number that
        the last one ended with.
    - x = model.embeddings(ids, caches[0].length)
    + x = model.embeddings(ids, max(0, caches[0].length - 1))

counts_positions_once_a_block
    positions advance once for each block: the lengths of all caches are summed
    believed: Every cache has grown, so their lengths add up. But they all hold the same text: any
        one of them says how long it is.
    seen: Right with one block. With two, the positions run twice as fast, and off the table.
    - x = model.embeddings(ids, caches[0].length)
    + x = model.embeddings(ids, sum(cache.length for cache in caches))

adds_the_new_length_to_the_positions
    the length of this call is added to the positions as well
    believed: The first position is the length after this call. It is the length before it.
    seen: A prompt of T tokens is numbered from T on: nothing fits, from the first call.
    reported: skyzh/tiny-llm#46
    - x = model.embeddings(ids, caches[0].length)
    + x = model.embeddings(ids, caches[0].length + ids.shape[1])

uses_one_cache_for_all_blocks
    all blocks use the first cache
    believed: One text needs one cache. But every block has keys and values of its own, and needs
        one for them.
    seen: Right with one block. With more, each block reads the keys of the others, and the cache is
        full too soon.
    - x = model.embeddings(ids, caches[0].length)
    + x = model.embeddings(ids, caches[0].length // len(caches))

    - gathered = merge_heads(cached_attention(q, k, v, cache))
    + gathered = merge_heads(cached_attention(q, k, v, caches[0]))
""")


@whole_bug("cached_logits")
def ignores_the_caches(model, ids, caches):
    """the caches are accepted and not used: the model sees the new tokens alone
    believed: A model that is given caches uses them by itself. It knows nothing of them: block by
        block, they must be written and read.
    seen: The prompt is right; then every token is predicted from one token. No faster, either.
    reported: rasbt/LLMs-from-scratch#1048
    """
    return model(ids)


@whole_bug("cached_logits")
def computes_everything_again(model, ids, caches):
    """all tokens so far go through the model again
    believed: The logits are the same, so all tokens may go through again. But the cache is there to
        save this work.
    seen: Right logits, and every step as slow as without a cache.
    """
    if caches[0].length == 0:
        caches[0].text = ids[:, :0]
    start = caches[0].length
    caches[0].text = torch.cat([caches[0].text, ids], dim=1)
    for cache in caches:
        cache.length = caches[0].text.shape[1]
    return model(caches[0].text)[:, start:]


bugs("""cached_logits:

returns_the_last_row
    the last row alone comes back
    believed: Only the last row is needed to generate. But the caller may want the others: to score
        a text, or to check several guesses at once.
    seen: Generation is right. Whoever compares with the model's logits finds one row of T.
    - return model.head(model.norm(x))
    + return model.head(model.norm(x[:, -1:]))

leaves_the_final_norm_out
    the final norm is left out
    believed: The blocks are the model. But between the last of them and the head stands a norm.
    seen: The likeliest token is often still right; the logits are not.
    - return model.head(model.norm(x))
    + return model.head(x)

leaves_the_output_projection_out
    attention's output projection is left out
    believed: Merged heads have the right shape, so they are the result. They must still go through
        the layer out.
    seen: Right shapes, wrong logits from the first call on.
    - x = x + block.attention.out(gathered)
    + x = x + gathered

leaves_the_residual_out
    the residual around attention is left out
    believed: Attention gathers all that is needed, the token itself included. But its output is
        added to the stream, and does not replace it.
    seen: Right shapes, wrong logits from the first call on.
    - x = x + block.attention.out(gathered)
    + x = block.attention.out(gathered)

takes_keys_before_the_norm
    keys and values are made of x before the norm
    believed: The norm belongs to the queries. But qkv reads the normalised x for all three.
    seen: Right shapes, wrong logits from the first call on.
    - parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
    + q, _, _ = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
    + _, k, v = block.attention.qkv(x).chunk(3, dim=-1)
    + parts = q, k, v

keeps_caches_of_its_own
    own caches are kept for the model, and the given ones are not used
    believed: A model has one set of caches. It has one for every text that it is in the middle of:
        use those that are given.
    seen: The first text is right. The next one goes on where it ended.
    reported: Lightning-AI/litgpt#1596, Lightning-AI/litgpt#1647
    + if not hasattr(model, "own_caches"):
    +     model.own_caches = copy.deepcopy(caches)
    + caches = model.own_caches
    = x = model.embeddings(ids, caches[0].length)
""")


bugs("""generate_cached:

calls_generate
    everything is computed again at every step
    believed: generate gives the right text, so calling it is enough. But it computes every position
        again at each step.
    seen: Right texts, and the time a token takes grows with the text.
    - weight = model.head.weight
    - d_head = config.d_model // config.n_heads
    - sizes = len(ids), config.n_heads, n_tokens, d_head
    - caches = [
    -     KVCache(*sizes, dtype=weight.dtype, device=weight.device)
    -     for _ in model.blocks
    - ]
    - new = ids
    - ids = ids.clone()  # the prompt stays the caller's own
    - with _evaluating(model):
    -     for _ in range(n_new):
    -         # the prompt first, then token by token
    -         logits = cached_logits(model, new, caches)
    -         new = sample(logits[:, -1], **sampling)[:, None]
    -         ids = torch.cat([ids, new], dim=1)
    - return ids
    + return generate(model, ids, n_new, **sampling)

feeds_the_whole_text
    the whole text is fed at every step, into caches that hold it already
    believed: cached_logits finds out what is new. It takes all that it is given for new.
    seen: From the second step on, the text stands in the caches twice, then three times.
    - # the prompt first, then token by token
    - logits = cached_logits(model, new, caches)
    + logits = cached_logits(model, ids, caches)

feeds_the_last_token_twice
    the last token of the prompt is fed twice
    believed: First fill the caches with the prompt, then start from its last token. But it was part
        of the prompt, and its logits were there already.
    seen: Every position is one too high, and one token counts double: close to right.
    = with _evaluating(model):
    +     cached_logits(model, ids, caches)
    +     new = ids[:, -1:]

skips_the_prefill
    of the prompt, only the last token is fed
    believed: One token a step is fed, the newest. But the caches do not know the prompt by
        themselves: it goes first.
    seen: The text does not depend on the prompt, but for its last token.
    - new = ids
    + new = ids[:, -1:]

reads_the_first_row
    the first row of the logits is read, not the last
    believed: Row 0 is the next token, as there is one row a step. The prompt has T rows, and the
        last of them says what comes next.
    seen: One wrong token behind the prompt, and a text that follows it faithfully.
    - new = sample(logits[:, -1], **sampling)[:, None]
    + new = sample(logits[:, 0], **sampling)[:, None]

keeps_its_caches
    the caches of the last text are used again
    believed: Caches that are there need not be made again. They still hold the text before.
    seen: The first text is right, and every later one goes on from it, or does not fit.
    reported: rasbt/LLMs-from-scratch#1048, Lightning-AI/litgpt#1647
    - sizes = len(ids), config.n_heads, n_tokens, d_head
    + sizes = len(ids), config.n_heads, config.context_length, d_head

    + caches = getattr(model, "caches", caches)
    + model.caches = caches
    = new = ids

returns_the_new_tokens_alone
    the new tokens come back without the prompt
    believed: The caller knows the prompt. generate returns the whole text; so must this.
    seen: Texts begin in the middle; their shape is (B, n_new).
    - return ids
    + return ids[:, ids.shape[1] - n_new :]

gives_one_token_too_many
    one token too many: the prompt's own next token is not counted
    believed: The prompt gives one token, and then n_new steps follow. But the first token is one of
        the n_new.
    seen: Texts of T + n_new + 1 tokens.
    - for _ in range(n_new):
    + for _ in range(1 + n_new):

gives_a_token_for_nothing
    n_new = 0 gives one token all the same
    believed: The prompt's last row gives a token in any case. With n_new = 0 nobody asked for it.
    seen: Right but for n_new = 0, where a token comes back that was not wanted.
    - for _ in range(n_new):
    + for _ in range(max(1, n_new)):

draws_once_for_the_batch
    one token is drawn for the whole batch
    believed: One new token serves the whole batch. Each text of it goes on by itself.
    seen: Right for one text. In a batch, all texts go on with the words of the first.
    - new = sample(logits[:, -1], **sampling)[:, None]
    + new = sample(logits[:1, -1], **sampling).expand(len(ids))[
    +     :, None
    + ]

drops_the_sampling_options
    sampling options are not passed on
    believed: Options work as soon as **sampling is in the signature. They must be passed on to
        sample.
    seen: temperature=0 still gives a new text every time.
    - new = sample(logits[:, -1], **sampling)[:, None]
    + new = sample(logits[:, -1])[:, None]

is_always_greedy
    always greedy, whatever the sampling options say
    believed: The likeliest token is the best. The caller decides that, by temperature.
    seen: Every text of a prompt is the same.
    - new = sample(logits[:, -1], **sampling)[:, None]
    + new = logits[:, -1].argmax(dim=-1, keepdim=True)

crops_the_prompt
    a long prompt is cropped instead of refused
    believed: generate crops a long text, so this does. But cached positions keep their numbers, so
        a text that is too long is refused.
    seen: No error, and another text than the one that was asked for.
    reported: huggingface/transformers#37574, rasbt/LLMs-from-scratch#925
    - if n_tokens > config.context_length:
    -     raise ValueError(
    -         "prompt and new tokens must fit the context, "
    -         f"got {ids.shape[1]} tokens, "
    -         f"n_new={n_new} and context_length={config.context_length}."
    -     )

    - new = ids
    + new = ids[:, -max(1, config.context_length - n_new) :]

refuses_a_full_context
    a text that fills the context exactly is refused
    believed: T + n_new must be less than context_length. It may equal it: all positions can be
        used.
    seen: The last token of the context is never written.
    - if n_tokens > config.context_length:
    + if n_tokens >= config.context_length:

forgets_evaluation_mode
    the model is left in training mode: dropout acts on the text
    believed: Without a step of the optimizer, nothing is training. But dropout looks at the mode,
        not at the optimizer.
    seen: Texts of a model in training are worse than they need be, and greedy ones vary.
    reported: karpathy/nanoGPT#240
    - with _evaluating(model):
    + with torch.no_grad():

stays_in_evaluation_mode
    the model stays in evaluation mode afterwards
    believed: eval() holds for this function. It holds until somebody calls train(): give back the
        mode that was.
    seen: After the first sample text of a training run, the model overfits.
    - with _evaluating(model):
    + model.eval()
    + with torch.no_grad():

always_ends_in_training_mode
    the model is in training mode afterwards, whatever it was before
    believed: A model is usually in training. This one may have been in evaluation: give back the
        mode that was.
    seen: The first text is right; later calls of the model drop out at random.
    + model.train()
    = return ids

restores_the_mode_only_on_success
    after an error, the model stays in evaluation mode
    believed: The last line puts everything back. But an error leaves before it.
    seen: A caught error during a sample text, and the training goes on without dropout.
    - with _evaluating(model):
    + was_training = model.training
    + model.eval()
    + with torch.no_grad():

    + model.train(was_training)
    = return ids

decodes_with_gradients
    gradients are recorded while it generates
    believed: eval() turns training off. It turns dropout off; gradients are another switch.
    seen: Right texts, and memory that grows with every token.
    - with _evaluating(model):
    + with _evaluating(model), torch.enable_grad():

makes_caches_of_float32
    the caches are float32, whatever the model is
    believed: A cache is memory, and memory has no dtype. It has one, float32 by default; it must be
        the model's.
    seen: Right in float32. In half precision, keys and queries do not fit together.
    - caches = [
    -     KVCache(*sizes, dtype=weight.dtype, device=weight.device)
    -     for _ in model.blocks
    - ]
    + caches = [KVCache(*sizes, device=weight.device) for _ in model.blocks]

makes_caches_on_the_cpu
    the caches are made on the default device
    believed: A new cache goes where the model is. It goes to the CPU unless told otherwise.
    seen: Right on a CPU. On a GPU: expected all tensors to be on the same device.
    - caches = [
    -     KVCache(*sizes, dtype=weight.dtype, device=weight.device)
    -     for _ in model.blocks
    - ]
    + caches = [KVCache(*sizes, dtype=weight.dtype) for _ in model.blocks]
""")
