"""Implementations of greedy `generate_cached` for `test_cached_generation`."""

import math
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from course_lib.transformer import cache
from course_lib.transformer.masking import causal_mask, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads

from .. import find_bug
from . import faulty, from_the_zoo, right

TEST = "test_cached_generation"


class Kept:
    """The keys and values of one block, as they come."""

    def __init__(self):
        self.keys = self.values = None

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all positions, the new ones last."""
        if self.keys is not None:
            k, v = torch.cat([self.keys, k], dim=2), torch.cat([self.values, v], dim=2)
        self.keys, self.values = k, v
        return k, v


def step(
    model,
    new: Tensor,
    kept: list,
    offset: int,
    *,
    mask: Callable[[int, int], Tensor] = causal_mask,
    width: float | None = None,
) -> Tensor:
    """The logits of new tokens after those that `kept` holds.

    Args:
        offset: the position of the first of them.
        mask: from the numbers of queries and keys, which may be seen.
        width: scores are divided by its root; the width of a head unless told.
    """
    x = model.embeddings(new, offset)
    for block, memory in zip(model.blocks, kept, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        k, v = memory.append(k, v)
        scores = q @ k.mT / math.sqrt(width or q.shape[-1])
        weights = masked_softmax(scores, mask(q.shape[2], k.shape[2]))
        x = x + block.attention.out(merge_heads(weights @ v))
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


def check(model, ids: Tensor, n_new: int) -> None:
    """Refuse what cannot be generated."""
    if ids.shape[1] == 0 or n_new < 0:
        raise ValueError(f"ids must hold a token and n_new be at least 0, got n_new={n_new}.")
    if ids.shape[1] + n_new > model.config.context_length:
        raise ValueError(
            "prompt and new tokens must fit the context, got "
            f"{ids.shape[1]} + {n_new} and context_length={model.config.context_length}."
        )


def greedy(
    model,
    ids: Tensor,
    n_new: int,
    *,
    memory: Callable[[], object] = Kept,
    kept: list | None = None,
    position: Callable[[int, int], int] = lambda n_prompt, n: n_prompt + n,
    prefill: Callable = step,
    decode: Callable = step,
    feed: Callable[[Tensor], Tensor] = lambda ids: ids[:, -1:],
) -> Tensor:
    """Prompt first, then token by token, with a place for each fault.

    Args:
        position: that of the token fed, from the prompt's length and the number of new ones before.
    """
    check(model, ids, n_new)
    kept = [memory() for _ in model.blocks] if kept is None else kept
    n_prompt = ids.shape[1]
    for n in range(n_new):
        if n == 0:
            found = prefill(model, ids, kept, 0)
        else:
            found = decode(model, feed(ids), kept, position(n_prompt, n - 1))
        ids = torch.cat([ids, found[:, -1:].argmax(dim=-1)], dim=1)
    return ids


# --- right -----------------------------------------------------------------------------------


@right(TEST)
def ours(model, ids, n_new):
    return cache.generate_cached(model, ids, n_new, temperature=0.0)


@right(TEST)
def by_joining(model, ids, n_new):
    return greedy(model, ids, n_new)


@right(TEST)
def by_computing_all_again(model, ids, n_new):
    """No cache at all: the same tokens, only slower."""
    check(model, ids, n_new)
    for _ in range(n_new):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=-1)], dim=1)
    return ids


@right(TEST)
def token_by_token(model, ids, n_new):
    """The prompt too is fed in steps of one."""

    def prefill(model, ids, kept, offset):
        for t in range(ids.shape[1]):
            found = step(model, ids[:, t : t + 1], kept, t)
        return found

    return greedy(model, ids, n_new, prefill=prefill)


@right(TEST)
def half_by_half(model, ids, n_new):
    """One half of the batch after the other, and in chunks of two."""

    def prefill(model, ids, kept, offset):
        for t in range(0, ids.shape[1], 2):
            found = step(model, ids[:, t : t + 2], kept, t)
        return found

    return torch.cat([greedy(model, half, n_new, prefill=prefill) for half in ids.chunk(2)])


# --- faulty: as in the zoo -------------------------------------------------------------------

for _name, _bug, _symptom in (
    (
        "stays_at_position_zero",
        "counts_positions_from_0",
        "Every new token is taken for the first of the text.",
    ),
    (
        "is_one_position_behind",
        "counts_positions_one_too_low",
        "Every new token stands one position further left than it should.",
    ),
    (
        "overwrites_the_cache",
        "ReturnsTheNewAlone",
        "After the first new token the prompt is forgotten.",
    ),
    (
        "aligns_the_mask_with_the_oldest",
        "aligns_the_mask_top_left",
        "A new token sees the oldest position, and nothing after it.",
    ),
    (
        "reads_the_prompt_without_a_mask",
        "masks_nothing",
        "The tokens of the prompt see each other in both directions.",
    ),
    (
        "feeds_the_end_of_the_prompt_again",
        "feeds_the_last_token_twice",
        "The last token of the prompt is read a second time.",
    ),
    (
        "returns_the_new_tokens_only",
        "returns_the_new_tokens_alone",
        "Only the new tokens come back, without the prompt.",
    ),
):
    from_the_zoo(TEST, find_bug(_bug), name=_name, symptom=_symptom, temperature=0.0)


# --- faulty: positions -------------------------------------------------------------------------


@faulty(
    TEST, symptom="Positions of new tokens are counted from 0 again, not from the prompt's end."
)
def forgets_the_length_of_the_prompt(model, ids, n_new):
    return greedy(model, ids, n_new, position=lambda n_prompt, n: n)


@faulty(TEST, symptom="All new tokens stand at the position of the first of them.")
def does_not_move_on(model, ids, n_new):
    return greedy(model, ids, n_new, position=lambda n_prompt, n: n_prompt)


@faulty(TEST, symptom="Positions of new tokens run ahead, the more so the longer the prompt.")
def adds_the_prompt_twice(model, ids, n_new):
    last = model.config.context_length - 1
    return greedy(model, ids, n_new, position=lambda n_prompt, n: min(2 * n_prompt + n, last))


# --- faulty: what is kept ----------------------------------------------------------------------


class NeverWrites(Kept):
    def append(self, k, v):
        if self.keys is None:
            self.keys, self.values = k, v
            return k, v
        return torch.cat([self.keys, k], dim=2), torch.cat([self.values, v], dim=2)


@faulty(TEST, symptom="New tokens see the prompt and themselves, but no new token before them.")
def keeps_the_prompt_only(model, ids, n_new):
    return greedy(model, ids, n_new, memory=NeverWrites)


class MixesUpValues(Kept):
    def append(self, k, v):
        before = self.values
        k, v = super().append(k, v)
        return (k, v) if before is None else (k, torch.cat([v[:, :, -1:], before], dim=2))


@faulty(TEST, symptom="The keys are in order, and each finds the value of its neighbour.")
def puts_new_values_in_front(model, ids, n_new):
    return greedy(model, ids, n_new, memory=MixesUpValues)


class Windowed(Kept):
    def append(self, k, v):
        k, v = super().append(k, v)
        self.keys, self.values = k[:, :, -4:], v[:, :, -4:]
        return (k, v) if k.shape[2] <= 5 else (k[:, :, -4:], v[:, :, -4:])


@faulty(TEST, symptom="Short texts are right; in longer ones new tokens forget how it began.")
def forgets_the_beginning(model, ids, n_new):
    def decode(model, new, kept, offset):
        return step(model, new, kept, offset, mask=lambda t, s: torch.ones(t, s).bool())

    return greedy(model, ids, n_new, memory=Windowed, decode=decode, prefill=_prefill_whole)


def _prefill_whole(model, ids, kept, offset):
    """The prompt without any window, which then holds its end only."""
    whole = [Kept() for _ in kept]
    found = step(model, ids, whole, offset)
    for memory, all_of_it in zip(kept, whole, strict=True):
        memory.keys, memory.values = all_of_it.keys[:, :, -4:], all_of_it.values[:, :, -4:]
    return found


@faulty(TEST, symptom="The second block reads what the first one remembers.")
def shares_one_cache(model, ids, n_new):
    def decode(model, new, kept, offset):
        for memory in kept[1:]:
            memory.keys, memory.values = kept[0].keys, kept[0].values
        return step(model, new, kept, offset)

    return greedy(model, ids, n_new, decode=decode)


class WithEmptyRoom(Kept):
    def append(self, k, v):
        k, v = super().append(k, v)
        room = torch.zeros_like(k[:, :, :1])
        return torch.cat([room, k], dim=2), torch.cat([room, v], dim=2)


@faulty(TEST, symptom="A part of the cache that nothing was written into is attended to.")
def attends_to_empty_room(model, ids, n_new):
    return greedy(model, ids, n_new, memory=WithEmptyRoom)


_left_over = WeakKeyDictionary()  # what was kept of each model's last text


@faulty(TEST, symptom="The first text after the start is right; the next ones remember it.")
def never_resets(model, ids, n_new):
    check(model, ids, n_new)
    kept = [Kept() for _ in model.blocks]
    for memory, before in zip(kept, _left_over.get(model, ()), strict=False):
        if before.keys is not None:  # its last position is still there
            memory.keys = before.keys[:1, :, -1:].expand(len(ids), -1, -1, -1)
            memory.values = before.values[:1, :, -1:].expand(len(ids), -1, -1, -1)
    _left_over[model] = kept
    return greedy(model, ids, n_new, kept=kept)


# --- faulty: what is fed, seen and returned ----------------------------------------------------


@faulty(TEST, symptom="A new token sees all before it, and not itself.")
def leaves_the_new_token_out(model, ids, n_new):
    def all_but_itself(n_queries, n_keys):
        seen = torch.ones(n_queries, n_keys, dtype=torch.bool)
        seen[:, -1] = n_keys == 1
        return seen

    return greedy(model, ids, n_new, decode=partial(step, mask=all_but_itself))


@faulty(TEST, symptom="Right up to the first new token; then attention is much too sharp.")
def forgets_the_scale_in_decoding(model, ids, n_new):
    return greedy(model, ids, n_new, decode=partial(step, width=1.0))


@faulty(TEST, symptom="Every step reads the token before the newest.")
def is_one_token_late(model, ids, n_new):
    return greedy(model, ids, n_new, feed=lambda ids: ids[:, -2:-1])


@faulty(TEST, symptom="All texts of a batch go on like the first one.")
def feeds_the_first_text_to_all(model, ids, n_new):
    return greedy(model, ids, n_new, feed=lambda ids: ids[:1, -1:].expand(len(ids), 1))


@faulty(TEST, symptom="The first two tokens of every prompt change places.")
def swaps_the_first_two_tokens(model, ids, n_new):
    found = greedy(model, ids, n_new)
    if ids.shape[1] == 1 or n_new == 0:
        return found
    turned = torch.cat([ids[:, 1:2], ids[:, :1], ids[:, 2:]], dim=1)
    return torch.cat([ids, greedy(model, turned, n_new)[:, ids.shape[1] :]], dim=1)


@faulty(TEST, symptom="There is one new token less than was asked for.")
def stops_one_token_early(model, ids, n_new):
    return greedy(model, ids, max(0, n_new - 1))
