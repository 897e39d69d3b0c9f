"""The bugs of lesson 1 in other words."""

from collections import Counter
from itertools import pairwise

import torch
from torch import nn

from course_lib.transformer.tokens import BPETokenizer, CharTokenizer, Embeddings, merge_pair

from . import same_bug_as

# --- CharTokenizer ---------------------------------------------------------------------------


@same_bug_as("KeepsTheOrderOfAppearance")
class NumbersAsTheyCome(CharTokenizer):
    def __init__(self, text):
        super().__init__(text)
        self.characters, self.ids = [], {}
        for character in text:
            if character not in self.ids:
                self.ids[character] = len(self.characters)
                self.characters.append(character)


@same_bug_as("CountsFromOne")
class LeavesZeroFree(CharTokenizer):
    def encode(self, text):
        return [i + 1 for i in super().encode(text)]

    def decode(self, ids):
        return super().decode([i - 1 for i in ids])


@same_bug_as("SkipsUnknownCharacters")
class FiltersTheText(CharTokenizer):
    def encode(self, text):
        return super().encode("".join(filter(self.ids.__contains__, text)))


@same_bug_as("TurnsUnknownCharactersIntoZero")
class FallsBackToTheFirst(CharTokenizer):
    def encode(self, text):
        known = {**self.ids, None: 0}
        return [known[c if c in known else None] for c in text]


@same_bug_as("ReadsNegativeIds")
class CatchesIndexErrors(CharTokenizer):
    def decode(self, ids):
        try:
            return "".join([self.characters[i] for i in ids])
        except IndexError:
            raise ValueError(f"ids={ids} holds an unknown id") from None


@same_bug_as("DecodesToAList")
class ListsTheCharacters(CharTokenizer):
    def decode(self, ids):
        return list(super().decode(ids))


@same_bug_as("MakesTheSizeAMethod")
class HasACallableSize(CharTokenizer):
    def __init__(self, text):
        super().__init__(text)
        del self.vocab_size

    def decode(self, ids):
        if any(i not in range(len(self.characters)) for i in ids):
            raise ValueError(f"ids={ids} holds an unknown id")
        return "".join(self.characters[i] for i in ids)

    def vocab_size(self):
        return len(self.ids)


@same_bug_as("StripsTheText")
class TrimsBothEnds(CharTokenizer):
    def __init__(self, text):
        super().__init__(text.lstrip().rstrip())

    def encode(self, text):
        return super().encode(text.lstrip().rstrip())


# --- merge_pair ------------------------------------------------------------------------------


@same_bug_as("keeps_the_second_id")
def replaces_the_first_of_two(ids, pair, new_id):
    following = [*ids[1:], None]
    return [new_id if both == pair else both[0] for both in zip(ids, following, strict=True)]


@same_bug_as("merges_from_the_right")
def merges_the_list_turned_round(ids, pair, new_id):
    return merge_pair(ids[::-1], pair[::-1], new_id)[::-1]


@same_bug_as("loses_the_last_id")
def loops_over_pairs_only(ids, pair, new_id):
    merged, skip = [], False
    for both in pairwise(ids):
        if skip:
            skip = False
        elif both == pair:
            merged.append(new_id)
            skip = True
        else:
            merged.append(both[0])
    return merged


@same_bug_as("merges_once")
def stops_after_a_match(ids, pair, new_id):
    pairs = list(pairwise(ids))
    if pair not in pairs:
        return ids[:]
    place = pairs.index(pair)
    return [*ids[:place], new_id, *ids[place + 2 :]]


@same_bug_as("ignores_the_order_of_the_pair")
def compares_sorted_pairs(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids):
        if sorted(ids[n : n + 2]) == sorted(pair):
            merged.append(new_id)
            n += 1
        else:
            merged.append(ids[n])
        n += 1
    return merged


@same_bug_as("merges_in_place")
def empties_the_list(ids, pair, new_id):
    ids[:] = merge_pair(ids, pair, new_id)
    return list(ids)


@same_bug_as("returns_nothing")
def prints_nothing_either(ids, pair, new_id):
    merge_pair(ids, pair, new_id)


@same_bug_as("replaces_in_a_string")
def edits_a_string(ids, pair, new_id):
    joined = " ".join(str(i) for i in ids)
    joined = str(new_id).join(joined.split(" ".join(map(str, pair))))
    return [int(part) for part in joined.split()]


# --- train_bpe -------------------------------------------------------------------------------


def _train(ids, n_merges, first_new_id, choose, least=2):
    """Byte-pair encoding with a choice of one's own."""
    if any(i >= first_new_id for i in ids):
        raise ValueError(f"ids: {max(ids)} is too large")
    merges = []
    for new_id in range(first_new_id, first_new_id + n_merges):
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < least:
            break
        merges.append(choose(counts))
        ids = merge_pair(ids, merges[-1], new_id)
    return merges


@same_bug_as("takes_the_first_of_equals")
def takes_pythons_maximum(ids, n_merges, first_new_id=256):
    return _train(ids, n_merges, first_new_id, lambda counts: max(counts, key=counts.get))


@same_bug_as("takes_the_largest_of_equals")
def takes_the_last_after_sorting(ids, n_merges, first_new_id=256):
    def choose(counts):
        return sorted((count, pair) for pair, count in counts.items())[-1][1]

    return _train(ids, n_merges, first_new_id, choose)


@same_bug_as("merges_what_occurs_once")
def merges_to_the_end(ids, n_merges, first_new_id=256):
    def choose(counts):
        return sorted(counts, key=lambda pair: (-counts[pair], pair))[0]

    return _train(ids, n_merges, first_new_id, choose, least=1)


@same_bug_as("wants_three")
def ignores_pairs_that_occur_twice(ids, n_merges, first_new_id=256):
    def choose(counts):
        return sorted(counts, key=lambda pair: (-counts[pair], pair))[0]

    return _train(ids, n_merges, first_new_id, choose, least=3)


@same_bug_as("counts_only_once")
def takes_the_most_frequent_pairs(ids, n_merges, first_new_id=256):
    if any(i >= first_new_id for i in ids):
        raise ValueError(f"ids: {max(ids)} is too large")
    pairs = list(pairwise(ids))
    ranked = sorted((-pairs.count(pair), pair) for pair in set(pairs))
    return [pair for count, pair in ranked if count < -1][:n_merges]


@same_bug_as("accepts_large_ids")
def asks_no_questions(ids, n_merges, first_new_id=256):
    merges = []
    for new_id in range(first_new_id, first_new_id + n_merges):
        counts = Counter(pairwise(ids))
        ranked = sorted(counts, key=lambda pair: (-counts[pair], pair))
        if not ranked or counts[ranked[0]] == 1:
            break
        merges.append(ranked[0])
        ids = merge_pair(ids, ranked[0], new_id)
    return merges


@same_bug_as("counts_without_overlap")
def counts_as_str_count_does(ids, n_merges, first_new_id=256):
    if any(i >= first_new_id for i in ids):
        raise ValueError(f"ids: {max(ids)} is too large")
    merges = []
    for new_id in range(first_new_id, first_new_id + n_merges):
        text = "".join(map(chr, ids))
        counts = {(a, b): text.count(chr(a) + chr(b)) for a, b in pairwise(ids)}
        ranked = sorted(counts, key=lambda pair: (-counts[pair], pair))
        if not ranked or counts[ranked[0]] < 2:
            break
        merges.append(ranked[0])
        ids = merge_pair(ids, ranked[0], new_id)
    return merges


# --- BPETokenizer ----------------------------------------------------------------------------


@same_bug_as("DecodesIdById")
class JoinsStrings(BPETokenizer):
    def decode(self, ids):
        return "".join([BPETokenizer.decode(self, [i]) for i in ids])


@same_bug_as("DecodesStrictly")
class ReadsBytesAsTheyAre(BPETokenizer):
    def decode(self, ids):
        BPETokenizer.decode(self, ids)
        return str(b"".join([self.pieces[i] for i in ids]), "utf-8")


@same_bug_as("IgnoresInvalidBytes")
class DropsWhatIsNoText(BPETokenizer):
    def decode(self, ids):
        BPETokenizer.decode(self, ids)
        return str(b"".join([self.pieces[i] for i in ids]), "utf-8", "ignore")


@same_bug_as("MergesInReverse")
class PlaysTheMergesBackwards(BPETokenizer):
    def encode(self, text):
        ids = [*text.encode()]
        for new_id in sorted(self.merges, reverse=True):
            ids = merge_pair(ids, self.merges[new_id], new_id)
        return ids


@same_bug_as("CountsTheMergesOnly")
class ForgetsTheBytes(BPETokenizer):
    def __init__(self, merges, first_new_id=256):
        super().__init__(merges, first_new_id)
        self.vocab_size -= first_new_id


@same_bug_as("SkipsUnknownIds")
class FiltersTheIds(BPETokenizer):
    def decode(self, ids):
        return super().decode([i for i in ids if i in self.pieces])


# --- Embeddings ------------------------------------------------------------------------------


@same_bug_as("NeverAddsPositions")
class AddsNothing(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        return self.token(ids)


@same_bug_as("IgnoresTheOffset")
class BeginsAtZero(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        return self.token(ids) + self.position.weight[: ids.shape[1]]


@same_bug_as("CountsOnFromTheLastCall")
class HoldsACounter(Embeddings):
    count = 0

    def forward(self, ids, offset=0):
        vectors = super().forward(ids, offset if offset > 0 else self.count)
        self.count = (offset or self.count) + ids.shape[1]
        return vectors


@same_bug_as("GivesAllTheSamePosition")
class AddsOneRow(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        return self.token(ids) + self.position.weight[offset]


@same_bug_as("ScalesTheTokens")
class WeighsTheTokens(Embeddings):
    def forward(self, ids, offset=0):
        tokens = self.token(ids)
        return super().forward(ids, offset) + tokens * (tokens.shape[-1] ** 0.5 - 1)


@same_bug_as("JoinsTheVectors")
class PutsThemSideBySide(Embeddings):
    def forward(self, ids, offset=0):
        both = super().forward(ids, offset)
        tokens = self.token(ids)
        return torch.cat((tokens, both - tokens), -1)


@same_bug_as("SavesThePositions")
class HasAThirdTensor(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.register_buffer("positions", torch.tensor(range(context_length)))

    def forward(self, ids, offset=0):
        return self.token(ids) + self.position(self.positions[offset:][: ids.shape[1]])


@same_bug_as("RunsOffTheTable")
class CountsOnPastTheEnd(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        places = torch.ones_like(ids).cumsum(1) - 1 + offset
        return self.token(ids) + self.position(places)


@same_bug_as("RefusesAFullContext")
class KeepsTheLastPositionFree(Embeddings):
    def forward(self, ids, offset=0):
        if ids.shape[1] + offset + 1 > len(self.position.weight):
            raise ValueError(f"context_length is {len(self.position.weight)}")
        return super().forward(ids, offset)


@same_bug_as("MakesPositionsOnTheCPU")
class MakesAListOfPositions(Embeddings):
    def forward(self, ids, offset=0):
        super().forward(ids, offset)
        return self.token(ids) + self.position(torch.tensor(range(offset, offset + ids.shape[1])))


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("UsesCodePoints")
class UsesCodePoints:
    def __init__(self, text):
        self.characters = set(text)
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text:
            if character not in self.characters:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [ord(character) for character in text]

    def decode(self, ids):
        for i in ids:
            if i < 0 or chr(i) not in self.characters:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(chr(i) for i in ids)


@same_bug_as("LooksUpWithoutLooking")
class LooksUpWithoutLooking:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        return [self.ids[character] for character in text]

    def decode(self, ids):
        return "".join(self.characters[i] for i in ids)


@same_bug_as("MeasuresTheText")
class MeasuresTheText:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(text)

    def encode(self, text):
        for character in text:
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < len(self.characters):
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@same_bug_as("LowersTheText")
class LowersTheText:
    def __init__(self, text):
        self.characters = sorted(set(text.lower()))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text.lower():
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text.lower()]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@same_bug_as("looks_past_the_end")
def looks_past_the_end(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids):
        if (ids[n], ids[n + 1]) == pair:
            merged.append(new_id)
            n += 2
        else:
            merged.append(ids[n])
            n += 1
    return merged


@same_bug_as("walks_in_steps_of_two")
def walks_in_steps_of_two(ids, pair, new_id):
    merged = []
    for n in range(0, len(ids), 2):
        both = ids[n : n + 2]
        merged += [new_id] if tuple(both) == pair else both
    return merged


@same_bug_as("compares_objects")
def compares_objects(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids):
        if n + 1 < len(ids) and ids[n] is pair[0] and ids[n + 1] is pair[1]:
            merged.append(new_id)
            n += 2
        else:
            merged.append(ids[n])
            n += 1
    return merged


@same_bug_as("needs_a_pair")
def needs_a_pair(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@same_bug_as("always_begins_at_256")
def always_begins_at_256(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], 256 + len(merges) - 1)
    return merges


@same_bug_as("reuses_the_first_new_id")
def reuses_the_first_new_id(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id)
    return merges


@same_bug_as("merges_the_rarest")
def merges_the_rarest(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = {pair: n for pair, n in Counter(pairwise(ids)).items() if n >= 2}
        if not counts:
            break
        merges.append(min(counts, key=lambda pair: (counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@same_bug_as("returns_a_dictionary")
def returns_a_dictionary(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = {}
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        ids = merge_pair(ids, best, first_new_id + len(merges))
        merges[best] = first_new_id + len(merges)
    return merges


@same_bug_as("trains_in_place")
def trains_in_place(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids[:] = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@same_bug_as("EncodesCodePoints")
class EncodesCodePoints:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges, self.first_new_id = list(merges), first_new_id
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: chr(byte) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, first_new_id):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        ids = [ord(character) for character in text]
        for new_id, pair in enumerate(self.merges, self.first_new_id):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.pieces[i] for i in ids)


@same_bug_as("TakesTheLongestToken")
class TakesTheLongestToken:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, first_new_id):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        left, ids = text.encode("utf-8"), []
        while left:
            fitting = [i for i, piece in self.pieces.items() if left.startswith(piece)]
            ids.append(max(fitting, key=lambda i: len(self.pieces[i])))
            left = left[len(self.pieces[ids[-1]]) :]
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@same_bug_as("NormalisesTheText")
class NormalisesTheText:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges, self.first_new_id = list(merges), first_new_id
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, first_new_id):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        import unicodedata

        ids = list(unicodedata.normalize("NFC", text).encode("utf-8"))
        for new_id, pair in enumerate(self.merges, self.first_new_id):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@same_bug_as("IgnoresTheFirstNewId")
class IgnoresTheFirstNewId:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges = list(merges)
        self.vocab_size = 256 + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, 256):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for new_id, pair in enumerate(self.merges, 256):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@same_bug_as("LooksUpUnknownIds")
class LooksUpUnknownIds:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges, self.first_new_id = list(merges), first_new_id
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, first_new_id):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for new_id, pair in enumerate(self.merges, self.first_new_id):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@same_bug_as("AcceptsIdsOfBytes")
class AcceptsIdsOfBytes:
    def __init__(self, merges, first_new_id=256):
        self.merges, self.first_new_id = list(merges), first_new_id
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, first_new_id):
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text):
        ids = list(text.encode("utf-8"))
        for new_id, pair in enumerate(self.merges, self.first_new_id):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@same_bug_as("CountsTheTexts")
class CountsTheTexts(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        rows = torch.arange(ids.shape[0], device=ids.device) + offset
        return self.token(ids) + self.position.weight[rows][:, None]


@same_bug_as("LooksUpIdsAsPositions")
class LooksUpIdsAsPositions(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        return self.token(ids) + self.position(ids)


@same_bug_as("SwapsTheSizes")
class SwapsTheSizes(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(context_length, d_model)
        self.position = nn.Embedding(vocab_size, d_model)

    def forward(self, ids, offset=0):
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions)
