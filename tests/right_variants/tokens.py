"""Right ways to write lesson 1 that differ from ours."""

import re
from collections import defaultdict
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.tokens import merge_pair

from . import variant

# --- CharTokenizer ---------------------------------------------------------------------------


@variant("CharTokenizer", title="two dictionaries, errors turned into ValueErrors")
class CharTokenizerOfDictionaries:
    def __init__(self, text):
        letters = sorted(list({*text}))
        self.stoi = {letter: i for i, letter in enumerate(letters)}
        self.itos = {i: letter for letter, i in self.stoi.items()}

    @property
    def vocab_size(self):
        return len(self.stoi)

    def encode(self, text):
        try:
            return [self.stoi[letter] for letter in text]
        except KeyError as error:
            raise ValueError(f"text has an unknown character: {error}") from None

    def decode(self, ids):
        try:
            return "".join(map(self.itos.__getitem__, ids))
        except KeyError as error:
            raise ValueError(f"ids has an unknown id: {error}") from None


@variant("CharTokenizer", title="a string as the vocabulary, searched with find")
class CharTokenizerOfAString:
    def __init__(self, text):
        self.letters = "".join(sorted(set(text)))
        self.vocab_size = len(self.letters)

    def encode(self, text):
        ids = []
        for letter in text:
            place = self.letters.find(letter)
            if place < 0:
                raise ValueError(f"the text contains the unknown character {letter}")
            ids.append(place)
        return ids

    def decode(self, ids):
        text = ""
        for i in ids:
            if i < 0 or i >= len(self.letters):
                raise ValueError(f"unknown id {i} in ids")
            text += self.letters[i]
        return text


@variant("CharTokenizer", title="sorted by hand, by code points")
class CharTokenizerByCodePoints:
    def __init__(self, text):
        codes = []
        for letter in text:
            if ord(letter) not in codes:
                codes.append(ord(letter))
        codes.sort()
        self.codes, self.vocab_size = tuple(codes), len(codes)

    def encode(self, text):
        strange = set(text) - set(map(chr, self.codes))
        if strange:
            raise ValueError(f"text: not in the vocabulary: {sorted(strange)}")
        return list(map(self.codes.index, map(ord, text)))

    def decode(self, ids):
        strange = set(ids) - set(range(self.vocab_size))
        if strange:
            raise ValueError(f"ids: not in the vocabulary: {sorted(strange)}")
        return "".join([chr(self.codes[i]) for i in ids])


# --- merge_pair ------------------------------------------------------------------------------


@variant("merge_pair", title="a flag that skips the second id")
def merge_pair_with_a_flag(ids, pair, new_id):
    merged, skip = [], False
    for n, left in enumerate(ids):
        if skip:
            skip = False
        elif (left, *ids[n + 1 : n + 2]) == pair:
            merged.append(new_id)
            skip = True
        else:
            merged.append(left)
    return merged


@variant("merge_pair", title="on a stack of what was written")
def merge_pair_on_a_stack(ids, pair, new_id):
    merged, fresh = [], False
    for i in ids:
        if fresh and merged[-1] == pair[0] and i == pair[1]:
            merged[-1] = new_id
            fresh = False
        else:
            merged.append(i)
            fresh = True
    return merged


@variant("merge_pair", title="in place, on a copy")
def merge_pair_on_a_copy(ids, pair, new_id):
    merged, n = ids.copy(), 0
    while n < len(merged) - 1:
        if merged[n] == pair[0] and merged[n + 1] == pair[1]:
            merged[n] = new_id
            del merged[n + 1]
        n += 1
    return merged


@variant("merge_pair", title="a regular expression over one character for each id")
def merge_pair_by_expression(ids, pair, new_id):
    text = "".join(map(chr, ids))
    return [
        ord(c) for c in re.sub(re.escape(chr(pair[0]) + chr(pair[1])), lambda _: chr(new_id), text)
    ]


# --- train_bpe -------------------------------------------------------------------------------


@variant("train_bpe", title="counted in a dictionary, the pairs sorted")
def train_bpe_by_sorting(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids: {i} is not below {first_new_id}")
    merges = []
    for new_id in range(first_new_id, first_new_id + n_merges):
        counts = defaultdict(int)
        for pair in pairwise(ids):
            counts[pair] += 1
        ranking = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if not ranking or ranking[0][1] == 1:
            return merges
        merges.append(ranking[0][0])
        ids = merge_pair(ids, ranking[0][0], new_id)
    return merges


@variant("train_bpe", title="the best pair kept in variables")
def train_bpe_by_comparing(ids, n_merges, first_new_id=256):
    if any(i >= first_new_id for i in ids):
        raise ValueError(f"ids too large: {[i for i in ids if i >= first_new_id]}")
    work, merges = list(ids), []
    for _ in range(n_merges):
        pairs = [(work[n], work[n + 1]) for n in range(len(work) - 1)]
        best, best_count = None, 1
        for pair in sorted(set(pairs)):
            if pairs.count(pair) > best_count:
                best, best_count = pair, pairs.count(pair)
        if best is None:
            break
        work = merge_pair(work, best, first_new_id + len(merges))
        merges.append(best)
    return merges


@variant("train_bpe", title="max over (count, -left, -right)")
def train_bpe_by_max(ids, n_merges, first_new_id=256):
    if ids and max(ids) >= first_new_id:
        raise ValueError(f"max(ids) is {max(ids)}, but first_new_id is {first_new_id}")
    merges = []
    while len(merges) < n_merges and len(ids) >= 2:
        counts = {}
        for n in range(len(ids) - 1):
            pair = (ids[n], ids[n + 1])
            counts[pair] = counts.get(pair, 0) + 1
        count, left, right = max((c, -a, -b) for (a, b), c in counts.items())
        if count < 2:
            break
        ids = merge_pair(ids, (-left, -right), first_new_id + len(merges))
        merges.append((-left, -right))
    return merges


# --- BPETokenizer ----------------------------------------------------------------------------


@variant("BPETokenizer", title="the pair of the lowest rank, until none is left")
class BPETokenizerByRank:
    def __init__(self, merges, first_new_id=256):
        if not first_new_id >= 256:
            raise ValueError(f"first_new_id = {first_new_id} is taken by a byte")
        self.ranks = {pair: first_new_id + n for n, pair in enumerate(merges)}
        self.vocab = {i: bytes((i,)) for i in range(256)}
        for (left, right), i in self.ranks.items():
            self.vocab[i] = self.vocab[left] + self.vocab[right]
        self.first_new_id = first_new_id

    @property
    def vocab_size(self):
        return self.first_new_id + len(self.ranks)

    def encode(self, text):
        ids = [*bytes(text, "utf-8")]
        while True:
            known = [pair for pair in pairwise(ids) if pair in self.ranks]
            if not known:
                return ids
            best = min(known, key=self.ranks.get)
            ids = merge_pair(ids, best, self.ranks[best])

    def decode(self, ids):
        try:
            return str(b"".join([self.vocab[i] for i in ids]), "utf-8", "replace")
        except KeyError as error:
            raise ValueError(f"ids: {error} is unknown") from error


@variant("BPETokenizer", title="ids are taken apart into bytes when they are decoded")
class BPETokenizerThatTakesApart:
    def __init__(self, merges, first_new_id=256):
        if first_new_id in range(256) or first_new_id < 0:
            raise ValueError(f"first_new_id must not be {first_new_id}")
        self.merges, self.first_new_id = merges, first_new_id
        self.vocab_size = first_new_id + len(merges)

    def encode(self, text):
        ids = list(text.encode())
        for n, (left, right) in enumerate(self.merges):
            ids = merge_pair(ids, (left, right), self.first_new_id + n)
        return ids

    def decode(self, ids):
        found, todo = bytearray(), list(reversed(ids))
        while todo:
            i = todo.pop()
            if 0 <= i < 256:
                found.append(i)
            elif self.first_new_id <= i < self.vocab_size:
                todo += reversed(self.merges[i - self.first_new_id])
            else:
                raise ValueError(f"{i} in ids stands for nothing")
        return found.decode(errors="replace")


@variant("BPETokenizer", title="one list of pieces, with gaps of None")
class BPETokenizerOfAList:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id: {first_new_id} < 256")
        self.pieces = [bytes([b]) for b in range(256)] + [None] * (first_new_id - 256)
        self.pairs = tuple(merges)
        for left, right in merges:
            self.pieces.append(self.pieces[left] + self.pieces[right])
        self.vocab_size = len(self.pieces)

    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for n, pair in enumerate(self.pairs):
            ids = merge_pair(ids, pair, self.vocab_size - len(self.pairs) + n)
        return ids

    def decode(self, ids):
        result = b""
        for i in ids:
            if not 0 <= i < len(self.pieces) or self.pieces[i] is None:
                raise ValueError(f"ids contains the unknown id {i}")
            result += self.pieces[i]
        return result.decode("utf-8", "replace")


# --- Embeddings ------------------------------------------------------------------------------


@variant("Embeddings", title="a slice of the table of positions")
class EmbeddingsBySlice(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.context_length = context_length
        self.position = nn.Embedding(context_length, d_model)
        self.token = nn.Embedding(vocab_size, d_model)

    def forward(self, ids, offset=0):
        stop = offset + ids.size(1)
        if stop > self.context_length:
            raise ValueError(f"{stop} positions, but context_length={self.context_length}")
        return self.position.weight[offset:stop] + self.token(ids)


@variant("Embeddings", title="a buffer of positions that is not saved")
class EmbeddingsWithABuffer(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.register_buffer("positions", torch.arange(context_length), persistent=False)

    def forward(self, ids, offset=0):
        n_tokens, n_positions = ids.shape[1], len(self.positions)
        if n_tokens + offset > n_positions:
            raise ValueError(f"context_length is {n_positions}: no room for {n_tokens}")
        return self.token(ids) + self.position(self.positions[offset:][:n_tokens])


@variant("Embeddings", title="one-hot vectors times the tables")
class EmbeddingsByOneHot(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        context_length = self.position.weight.shape[0]
        if ids.shape[1] + offset > context_length:
            raise ValueError(f"longer than context_length={context_length}")
        where = (torch.ones_like(ids).cumsum(dim=1) - 1) + offset
        what = F.one_hot(ids, self.token.num_embeddings).to(self.token.weight.dtype)
        place = F.one_hot(where, context_length).to(self.position.weight.dtype)
        return what @ self.token.weight + place @ self.position.weight


@variant("Embeddings", title="position by position, stacked")
class EmbeddingsOneByOne(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        columns = []
        for t in range(ids.shape[1]):
            if offset + t >= len(self.position.weight):
                raise ValueError(f"context_length={len(self.position.weight)} is exceeded")
            columns.append(self.token(ids[:, t]) + self.position.weight[offset + t])
        return torch.stack(columns, dim=1)
