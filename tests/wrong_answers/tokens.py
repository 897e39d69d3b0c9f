"""Wrong answers to lesson 1 that no bug of the zoo behaves like."""

import functools
from collections import Counter
from itertools import pairwise
from typing import ClassVar

import torch

from course_lib.transformer.tokens import (
    BPETokenizer,
    CharTokenizer,
    Embeddings,
    merge_pair,
    train_bpe,
)

from . import wrong_answer

# --- CharTokenizer ---------------------------------------------------------------------------


@wrong_answer("CharTokenizer")
class SortsBackwards(CharTokenizer):
    def __init__(self, text):
        super().__init__(text)
        self.characters.reverse()
        self.ids = {character: i for i, character in enumerate(self.characters)}


@wrong_answer("CharTokenizer")
class LearnsAsItReads(CharTokenizer):
    def encode(self, text):
        for character in sorted(set(text) - set(self.ids)):
            self.ids[character] = len(self.characters)
            self.characters.append(character)
        self.vocab_size = len(self.characters)
        return super().encode(text)


@wrong_answer("CharTokenizer")
class EncodesBytes(CharTokenizer):
    def __init__(self, text):
        super().__init__(text.encode("utf-8").decode("latin-1"))

    def encode(self, text):
        return super().encode(text.encode("utf-8").decode("latin-1"))

    def decode(self, ids):
        return super().decode(ids).encode("latin-1").decode("utf-8", errors="replace")


@wrong_answer("CharTokenizer")
class SharesOneVocabulary(CharTokenizer):
    everything: ClassVar = {}

    def __init__(self, text):
        super().__init__(text)
        self.everything.update(self.ids)
        self.ids = self.everything


@wrong_answer("CharTokenizer")
class EncodesToATuple(CharTokenizer):
    def encode(self, text):
        return tuple(super().encode(text))


@wrong_answer("CharTokenizer")
class KeepsTheListItGaveAway(CharTokenizer):
    def __init__(self, text):
        super().__init__(text)
        self.known = {}

    def encode(self, text):
        if text not in self.known:
            self.known[text] = super().encode(text)
        return self.known[text]


# --- merge_pair ------------------------------------------------------------------------------


@wrong_answer("merge_pair")
def keeps_the_pair_behind_its_new_id(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    return [one for i in merged for one in ((i, *pair) if i == new_id else (i,))]


@wrong_answer("merge_pair")
def removes_the_pair(ids, pair, new_id):
    return [i for i in merge_pair(ids, pair, new_id) if i != new_id]


@wrong_answer("merge_pair")
def merges_long_runs_into_one(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    return [i for n, i in enumerate(merged) if i != new_id or n == 0 or merged[n - 1] != new_id]


@wrong_answer("merge_pair")
def merges_to_a_tuple(ids, pair, new_id):
    return tuple(merge_pair(ids, pair, new_id))


_merged = []


@wrong_answer("merge_pair")
def fills_the_same_list_in_every_call(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    _merged[:] = merged
    return _merged


@wrong_answer("merge_pair")
def calls_itself_once_an_id(ids, pair, new_id):
    if len(ids) < 2:
        return list(ids)
    left, right, *rest = ids
    if (left, right) == pair:
        return [new_id, *calls_itself_once_an_id(rest, pair, new_id)]
    return [left, *calls_itself_once_an_id(ids[1:], pair, new_id)]


# --- train_bpe -------------------------------------------------------------------------------


@wrong_answer("train_bpe")
def makes_one_merge_more(ids, n_merges, first_new_id=256):
    return train_bpe(ids, n_merges + 1, first_new_id)


@wrong_answer("train_bpe")
def returns_lists_of_two(ids, n_merges, first_new_id=256):
    return [list(pair) for pair in train_bpe(ids, n_merges, first_new_id)]


@wrong_answer("train_bpe")
def trains_on_the_first_half(ids, n_merges, first_new_id=256):
    train_bpe(ids, 0, first_new_id)
    return train_bpe(ids[: len(ids) // 2], n_merges, first_new_id)


@wrong_answer("train_bpe")
def returns_the_merges_backwards(ids, n_merges, first_new_id=256):
    return train_bpe(ids, n_merges, first_new_id)[::-1]


@wrong_answer("train_bpe")
def numbers_pairs_by_the_first_new_id(ids, n_merges, first_new_id=256):
    if max(ids, default=0) >= first_new_id:
        raise ValueError(f"ids must be below {first_new_id}, got {max(ids)}")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(left * first_new_id + right for left, right in pairwise(ids))
        best = min(counts, key=lambda number: (-counts[number], number), default=None)
        if counts[best] < 2:
            break
        pair = divmod(best, first_new_id)  # merged ids are first_new_id and more
        ids = merge_pair(ids, pair, first_new_id + len(merges))
        merges.append(pair)
    return merges


# --- BPETokenizer ----------------------------------------------------------------------------


@wrong_answer("BPETokenizer")
class ReadsABom(BPETokenizer):
    def decode(self, ids):
        return super().decode(ids).removeprefix("\ufeff")


@wrong_answer("BPETokenizer")
class ReplacesWithAQuestionMark(BPETokenizer):
    def decode(self, ids):
        return super().decode(ids).replace("\ufffd", "?")


@wrong_answer("BPETokenizer")
class UsesTheFirstMergeOnly(BPETokenizer):
    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for new_id, pair in list(self.merges.items())[:1]:
            ids = merge_pair(ids, pair, new_id)
        return ids


@wrong_answer("BPETokenizer")
class TranslatesLineEnds(BPETokenizer):
    def encode(self, text):
        return super().encode(text.replace("\r\n", "\n"))


@wrong_answer("BPETokenizer")
class StripsZeroBytes(BPETokenizer):
    def decode(self, ids):
        return super().decode(ids).rstrip("\x00")


@wrong_answer("BPETokenizer")
class MergesFromLeftToRight(BPETokenizer):
    """Whatever the last two ids make is merged at once, as the text is read."""

    def encode(self, text):
        ids, known = [], {pair: new_id for new_id, pair in self.merges.items()}
        for byte in text.encode("utf-8"):
            ids.append(byte)
            while tuple(ids[-2:]) in known:
                ids[-2:] = [known[tuple(ids[-2:])]]
        return ids


@wrong_answer("BPETokenizer")
class RemembersTextsAsListsOfItsOwn(BPETokenizer):
    def __init__(self, merges, first_new_id=256):
        super().__init__(merges, first_new_id)
        self.encode = functools.cache(super().encode)


# --- Embeddings ------------------------------------------------------------------------------


@wrong_answer("Embeddings")
class AveragesBothVectors(Embeddings):
    def forward(self, ids, offset=0):
        return super().forward(ids, offset) / 2


@wrong_answer("Embeddings")
class CountsPositionsFromOne(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        positions = torch.arange(offset + 1, offset + 1 + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions.clamp(max=len(self.position.weight) - 1))


@wrong_answer("Embeddings")
class CountsPositionsFromTheEnd(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        rows = self.position.weight[offset : offset + ids.shape[1]]
        return self.token(ids) + rows.flip(0)


@wrong_answer("Embeddings")
class WrapsAround(Embeddings):
    def forward(self, ids, offset=0):
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions % len(self.position.weight))


@wrong_answer("Embeddings")
class FreezesThePositions(Embeddings):
    def forward(self, ids, offset=0):
        tokens = self.token(ids)
        return tokens + (super().forward(ids, offset) - tokens).detach()


@wrong_answer("Embeddings")
class LooksUpOneLongListOfIds(Embeddings):
    def forward(self, ids, offset=0):
        whole = super().forward(ids, offset)
        found = self.token(ids.view(-1)).view(*ids.shape, -1)
        return whole - self.token(ids) + found


# --- what a result that is changed, or a frozen weight, shows ----------------------------------


@wrong_answer("merge_pair")
def gives_back_what_it_was_given(ids, pair, new_id):
    merged = merge_pair(ids, pair, new_id)
    return ids if merged == ids else merged


@wrong_answer("Embeddings")
class FrozenTokensFreezePositions(Embeddings):
    def forward(self, ids, offset=0):
        found = super().forward(ids, offset)
        return found if self.token.weight.requires_grad else found.detach()


@wrong_answer("Embeddings")
class KeepsItsPositions(Embeddings):
    """Made once, by the first call: in inference mode they are of no use to training."""

    places = None

    def forward(self, ids):
        n_tokens = ids.shape[-1]
        if n_tokens > self.position.num_embeddings:
            return super().forward(ids)
        if self.places is None or len(self.places) < n_tokens:
            self.places = torch.arange(n_tokens, device=ids.device)
        return self.token(ids) + self.position(self.places[:n_tokens])
