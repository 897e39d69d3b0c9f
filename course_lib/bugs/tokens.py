"""What goes wrong in lesson 1: characters, pairs of bytes, and the vectors of tokens."""

import math
from collections import Counter
from itertools import pairwise

import torch
from torch import nn

from course_lib.transformer.tokens import merge_pair

from . import bug

# --- CharTokenizer ---------------------------------------------------------------------------


@bug(
    "CharTokenizer",
    title="the vocabulary is in the order of first appearance, not sorted",
    misconception="Any order will do as long as encode and decode agree. Two programs that read "
    "different texts first then disagree.",
    symptom="Round trips work; a saved model reads nonsense in another run.",
)
class KeepsTheOrderOfAppearance:
    def __init__(self, text):
        self.characters = list(dict.fromkeys(text))
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text:
            if character not in self.characters:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.characters.index(character) for character in text]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@bug(
    "CharTokenizer",
    title="ids are code points (ord), not places in the vocabulary",
    misconception="ord gives every character a number already. They reach past a million, and the "
    "model needs a row for each.",
    symptom="IndexError in the embedding, whose table is smaller than the ids.",
)
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


@bug(
    "CharTokenizer",
    title="ids begin at 1",
    misconception="The first one is number 1. Rows of a table are counted from 0.",
    symptom="The last character has an id that the embedding does not have: IndexError.",
)
class CountsFromOne:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters, start=1)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text:
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text]

    def decode(self, ids):
        for i in ids:
            if not 1 <= i <= self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i - 1] for i in ids)


@bug(
    "CharTokenizer",
    title="unknown characters are left out without a word",
    misconception="A tokenizer should take anything. Then decode(encode(text)) is another text, "
    "and nobody knows.",
    symptom="Letters vanish from the prompt.",
)
class SkipsUnknownCharacters:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        return [self.ids[character] for character in text if character in self.ids]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@bug(
    "CharTokenizer",
    title="unknown characters become the id 0",
    misconception="0 is free for the unknown. It is the first character of the vocabulary.",
    symptom="Unknown letters come back as spaces or line ends.",
)
class TurnsUnknownCharactersIntoZero:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        return [self.ids.get(character, 0) for character in text]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@bug(
    "CharTokenizer",
    title="negative ids count from the end of the vocabulary",
    misconception="A list raises an IndexError for a wrong index. For -1 it returns the last item.",
    symptom="A wrong id, such as the -100 that marks ignored targets, becomes a letter.",
)
class ReadsNegativeIds:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text:
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text]

    def decode(self, ids):
        for i in ids:
            if not -self.vocab_size <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


@bug(
    "CharTokenizer",
    title="what is unknown raises KeyError or IndexError, not ValueError",
    misconception="It raises something, and that is enough. KeyError: 'd' says neither which "
    "argument was wrong nor why.",
    symptom="KeyError or IndexError from deep inside.",
    threads=("karpathy/nanoGPT#434",),
)
class LooksUpWithoutLooking:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.names = dict(enumerate(self.characters))
        self.vocab_size = len(self.characters)

    def encode(self, text):
        return [self.ids[character] for character in text]

    def decode(self, ids):
        return "".join(self.names[i] for i in ids)


@bug(
    "CharTokenizer",
    title="decode returns a list of characters, not a string",
    misconception="A list of characters is as good as a text. It prints with commas, and "
    "text + decode(ids) fails.",
    symptom="TypeError: can only concatenate str to str.",
)
class DecodesToAList:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text:
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return [self.characters[i] for i in ids]


@bug(
    "CharTokenizer",
    title="vocab_size is the length of the text",
    misconception="len(text) counts characters. It counts each as often as it occurs.",
    symptom="An embedding of a million rows, of which 65 are used.",
)
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


@bug(
    "CharTokenizer",
    title="vocab_size is a method, not a number",
    misconception="tokenizer.vocab_size() reads well. nn.Embedding(tokenizer.vocab_size, …) wants "
    "a number.",
    symptom="TypeError: a method where an int was expected.",
)
class MakesTheSizeAMethod:
    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    def vocab_size(self):
        return len(self.characters)

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


@bug(
    "CharTokenizer",
    title="upper and lower case were made one",
    misconception="A smaller vocabulary learns faster. It also cannot say 'I'.",
    symptom="Text comes back in lower case.",
)
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


@bug(
    "CharTokenizer",
    title="spaces and line ends at the edges were stripped",
    misconception="strip() tidies a text up. A token is a token, spaces included.",
    symptom="'the ' and 'the' have the same ids, and words grow together.",
)
class StripsTheText:
    def __init__(self, text):
        self.characters = sorted(set(text.strip()))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.vocab_size = len(self.characters)

    def encode(self, text):
        for character in text.strip():
            if character not in self.ids:
                raise ValueError(f"text holds {character!r}, which is unknown.")
        return [self.ids[character] for character in text.strip()]

    def decode(self, ids):
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.characters[i] for i in ids)


# --- merge_pair ------------------------------------------------------------------------------


@bug(
    "merge_pair",
    title="after a match the second id of the pair stays in the list",
    misconception="A for loop over all places sees every pair. It also visits the second id of a "
    "pair that was merged.",
    symptom="The list does not get shorter.",
)
def keeps_the_second_id(ids, pair, new_id):
    merged = []
    for n in range(len(ids)):
        merged.append(new_id if tuple(ids[n : n + 2]) == pair else ids[n])
    return merged


@bug(
    "merge_pair",
    title="merged from right to left",
    misconception="The direction does not matter. It does in a run: a, a, a has two readings.",
    symptom="Only runs of equal ids differ; encode and training disagree.",
)
def merges_from_the_right(ids, pair, new_id):
    merged, n = [], len(ids) - 1
    while n >= 0:
        if n > 0 and (ids[n - 1], ids[n]) == pair:
            merged.append(new_id)
            n -= 2
        else:
            merged.append(ids[n])
            n -= 1
    return merged[::-1]


@bug(
    "merge_pair",
    title="the last id is lost",
    misconception="Pairs end at len(ids) - 1, so the loop does too. An id that is in no pair has "
    "to be copied all the same.",
    symptom="Texts end one token early, unless they end in the pair.",
)
def loses_the_last_id(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids) - 1:
        if (ids[n], ids[n + 1]) == pair:
            merged.append(new_id)
            n += 2
        else:
            merged.append(ids[n])
            n += 1
    return merged


@bug(
    "merge_pair",
    title="the last id has no neighbour: IndexError",
    misconception="ids[n + 1] is always there. Not for the last n.",
    symptom="IndexError: list index out of range, unless the list ends in the pair.",
)
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


@bug(
    "merge_pair",
    title="only the first pair was merged",
    misconception="Find it, replace it, done. There may be more.",
    symptom="The list gets shorter by one, however often the pair occurs.",
)
def merges_once(ids, pair, new_id):
    for n in range(len(ids) - 1):
        if (ids[n], ids[n + 1]) == pair:
            return [*ids[:n], new_id, *ids[n + 2 :]]
    return list(ids)


@bug(
    "merge_pair",
    title="the pair is merged in either order",
    misconception="A pair is two ids. It is two ids in an order: 'ab' is not 'ba'.",
    symptom="'ab' and 'ba' decode to the same text.",
)
def ignores_the_order_of_the_pair(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids):
        if tuple(ids[n : n + 2]) in (pair, pair[::-1]):
            merged.append(new_id)
            n += 2
        else:
            merged.append(ids[n])
            n += 1
    return merged


@bug(
    "merge_pair",
    title="always on by two places",
    misconception="Pairs are two ids long, so the list is walked in steps of two. A pair may begin "
    "at an odd place.",
    symptom="About half of the pairs are missed.",
)
def walks_in_steps_of_two(ids, pair, new_id):
    merged = []
    for n in range(0, len(ids), 2):
        both = ids[n : n + 2]
        merged += [new_id] if tuple(both) == pair else both
    return merged


@bug(
    "merge_pair",
    title="the caller's list was changed",
    misconception="del ids[n] works on my list. It is the caller's.",
    symptom="Right the first time; then training data are merged already.",
)
def merges_in_place(ids, pair, new_id):
    n = 0
    while n < len(ids) - 1:
        if (ids[n], ids[n + 1]) == pair:
            ids[n : n + 2] = [new_id]
        n += 1
    return ids


@bug(
    "merge_pair",
    title="nothing is returned",
    misconception="The list was changed, so there is nothing to return. The caller waits for a new "
    "one.",
    symptom="TypeError: 'NoneType' object is not iterable, in the next round.",
)
def returns_nothing(ids, pair, new_id):
    merged, n = [], 0
    while n < len(ids):
        if tuple(ids[n : n + 2]) == pair:
            merged.append(new_id)
            n += 2
        else:
            merged.append(ids[n])
            n += 1


@bug(
    "merge_pair",
    title="numbers compared with `is`",
    misconception="is means equal. It means the same object, which small numbers happen to be.",
    symptom="Works for bytes; ids above 256 are never merged.",
)
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


@bug(
    "merge_pair",
    title="replaced in a text of numbers",
    misconception="str.replace does all of this. It also finds '1 2' within '11 22'.",
    symptom="Strange new ids as soon as ids have more than one digit.",
)
def replaces_in_a_string(ids, pair, new_id):
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return [int(number) for number in text.split()]


# --- train_bpe -------------------------------------------------------------------------------


@bug(
    "train_bpe",
    title="of equally frequent pairs the one seen first is taken",
    misconception="max() and most_common() pick one, and any will do. They pick the first they "
    "meet, so the order of the texts decides.",
    symptom="The same data in another order give another tokenizer.",
    threads=("karpathy/minbpe#90",),
)
def takes_the_first_of_equals(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(counts.most_common(1)[0][0])
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="of equally frequent pairs the largest is taken",
    misconception="max over (count, pair) settles ties. It settles them the other way round.",
    symptom="Right until two pairs are equally frequent.",
)
def takes_the_largest_of_equals(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="overlapping pairs are not counted",
    misconception="Only what can be merged should count, and in a, a, a that is once. A fair view; "
    "here every position counts, as in most programs.",
    symptom="Other merges wherever a text has runs: spaces, dots, zeros.",
    threads=("karpathy/minbpe#51", "karpathy/minbpe#72"),
)
def counts_without_overlap(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts, free = Counter(), {}
        for n, pair in enumerate(pairwise(ids)):
            if free.get(pair, 0) <= n:
                counts[pair] += 1
                free[pair] = n + 2
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="pairs are counted once, before the first merge",
    misconception="The counts say which pairs are frequent. Each merge changes them and makes new "
    "pairs.",
    symptom="No merge ever builds on another: tokens of two bytes only.",
)
def counts_only_once(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    counts = Counter(pairwise(ids))
    often = [pair for pair in counts if counts[pair] >= 2]
    return sorted(often, key=lambda pair: (-counts[pair], pair))[:n_merges]


@bug(
    "train_bpe",
    title="goes on when no pair occurs twice",
    misconception="n_merges merges were asked for. A pair that occurs once saves one id and costs "
    "one.",
    symptom="Merges that spell the training text out, whole sentences as one token.",
)
def merges_what_occurs_once(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges and len(ids) > 1:
        counts = Counter(pairwise(ids))
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="stops although a pair still occurs twice",
    misconception="More than twice is 'often'. Twice is enough.",
    symptom="Fewer merges than asked for.",
)
def wants_three(ids, n_merges, first_new_id=256):
    for i in ids:
        if i >= first_new_id:
            raise ValueError(f"ids must be below {first_new_id}, got {i}.")
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) <= 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="a text without pairs is an error",
    misconception="There is always a most frequent pair. Not in an empty text, nor at the end of "
    "one that was merged away.",
    symptom="ValueError: max() iterable argument is empty.",
)
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


@bug(
    "train_bpe",
    title="new ids always begin at 256",
    misconception="Merged ids come after the bytes. They come after first_new_id.",
    symptom="Right by default; with another first_new_id, ids that mean nothing.",
)
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


@bug(
    "train_bpe",
    title="every merge makes the same new id",
    misconception="first_new_id is the new id. It is that of the first merge.",
    symptom="Different pairs become one token, and later merges join what never stood together.",
)
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


@bug(
    "train_bpe",
    title="the rarest pair is merged, not the most frequent one",
    misconception="min() with the counts as its key gives the smallest count.",
    symptom="Tokens for typing errors and none for 'the'.",
)
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


@bug(
    "train_bpe",
    title="a dictionary of pairs and ids instead of the list of pairs",
    misconception="encode wants to look pairs up. The order is what matters here, and a list has "
    "it.",
    symptom="TypeError or strange merges in whatever expects pairs.",
)
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


@bug(
    "train_bpe",
    title="ids of first_new_id and above are accepted",
    misconception="Whoever calls this passes bytes. Ids from another tokenizer are taken for "
    "merged pairs, and decode to something else.",
    symptom="Two meanings for one id.",
)
def accepts_large_ids(ids, n_merges, first_new_id=256):
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        ids = merge_pair(ids, merges[-1], first_new_id + len(merges) - 1)
    return merges


@bug(
    "train_bpe",
    title="the caller's list was changed",
    misconception="ids[:] = … saves memory. The training data are then merged, too.",
    symptom="A second training on the same list gives other merges, or a ValueError.",
)
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


# --- BPETokenizer ----------------------------------------------------------------------------


@bug(
    "BPETokenizer",
    title="code points (ord, chr) instead of UTF-8 bytes",
    misconception="ord gives numbers below 256. For English it does.",
    symptom="Right for English; 'é' has the wrong id, and an emoji has one that means nothing.",
)
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


@bug(
    "BPETokenizer",
    title="each id is decoded by itself",
    misconception="A token is a piece of text. It is a piece of bytes, and may be half a letter.",
    symptom="Emoji and accents come out as � while English is fine.",
    threads=("exo-explore/exo#1691", "antonellof/ferrox#124"),
)
class DecodesIdById:
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
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return "".join(self.pieces[i].decode("utf-8", errors="replace") for i in ids)


@bug(
    "BPETokenizer",
    title="invalid bytes are an error",
    misconception="decode('utf-8') reads what encode('utf-8') wrote. A model may write anything.",
    symptom="UnicodeDecodeError in the middle of a generated text.",
    threads=("Blaizzy/mlx-vlm#835",),
)
class DecodesStrictly:
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
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8")


@bug(
    "BPETokenizer",
    title="invalid bytes vanish",
    misconception="errors='ignore' makes the error go away. The reader cannot see that something "
    "was there.",
    symptom="Letters are missing in generated text, without a trace.",
)
class IgnoresInvalidBytes:
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
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="ignore")


@bug(
    "BPETokenizer",
    title="the merges are applied last one first",
    misconception="The last merges are the longest tokens, so they go first. They are made of "
    "earlier ones, which do not exist yet.",
    symptom="Hardly anything is merged: texts are longer than in training.",
)
class MergesInReverse:
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
        for new_id, pair in reversed(list(enumerate(self.merges, self.first_new_id))):
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids):
        for i in ids:
            if i not in self.pieces:
                raise ValueError(f"ids holds {i}, which is unknown.")
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", errors="replace")


@bug(
    "BPETokenizer",
    title="the longest token is taken at each place, not the merges in their order",
    misconception="Encoding is finding the longest token that fits. BPE has no such rule: its "
    "merges are played back.",
    symptom="Mostly the same ids; a few texts are cut otherwise than in training.",
    threads=("google/sentencepiece#406",),
)
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


@bug(
    "BPETokenizer",
    title="the text was normalised (NFC) first",
    misconception="é is é. As one character or as e and an accent it is not the same bytes, and "
    "what goes in should come out.",
    symptom="Round trips change some texts in ways that one cannot see.",
)
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


@bug(
    "BPETokenizer",
    title="new ids always begin at 256, whatever first_new_id",
    misconception="There are 256 bytes, so the first merge is 256. Unless ids were kept free.",
    symptom="Right by default; otherwise ids and vocab_size do not fit together.",
)
class IgnoresTheFirstNewId:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges = list(merges)
        self.vocab_size = 256 + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in enumerate(merges, 256):
            self.pieces[new_id] = self.pieces.get(left, b"") + self.pieces.get(right, b"")

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


@bug(
    "BPETokenizer",
    title="vocab_size counts the merges only",
    misconception="The vocabulary is what was learned. The 256 bytes belong to it.",
    symptom="IndexError in the embedding for nearly every text.",
)
class CountsTheMergesOnly:
    def __init__(self, merges, first_new_id=256):
        if first_new_id < 256:
            raise ValueError(f"first_new_id must be at least 256, got {first_new_id}.")
        self.merges, self.first_new_id = list(merges), first_new_id
        self.vocab_size = len(merges)
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


@bug(
    "BPETokenizer",
    title="unknown ids are left out without a word",
    misconception="What is not in the table has no text. It is a mistake of somebody, and should "
    "be told.",
    symptom="Pieces are missing from the text.",
)
class SkipsUnknownIds:
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
        known = b"".join(self.pieces.get(i, b"") for i in ids)
        return known.decode("utf-8", errors="replace")


@bug(
    "BPETokenizer",
    title="unknown ids raise KeyError, not ValueError",
    misconception="The dictionary complains, and that is enough. KeyError: 300 does not say which "
    "argument was wrong.",
    symptom="KeyError from deep inside.",
    threads=("karpathy/nanoGPT#273",),
)
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


@bug(
    "BPETokenizer",
    title="first_new_id below 256 is accepted",
    misconception="Nobody does that. With 255, one id is a byte and a merged pair, and one of them "
    "is lost.",
    symptom="A letter comes back as two others.",
)
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


# --- Embeddings ------------------------------------------------------------------------------


@bug(
    "Embeddings",
    title="the positions are not added",
    misconception="The layer is there, so it works. forward must use it.",
    symptom="'dog bites man' and 'man bites dog' are the same; position never gets a gradient.",
)
class NeverAddsPositions(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        return self.token(ids)


@bug(
    "Embeddings",
    title="the offset is ignored, positions always begin at 0",
    misconception="A text begins at position 0. The one token that a cache is given does not.",
    symptom="Right in training; each new token believes that it is the first.",
    threads=("Blaizzy/mlx-vlm#1983", "ml-explore/mlx-lm#93", "huggingface/transformers#15751"),
)
class IgnoresTheOffset(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        return self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))


@bug(
    "Embeddings",
    title="positions go on from where the last call ended",
    misconception="The layer can count by itself how far the text has come. It cannot know that "
    "the next call is another text.",
    symptom="The first batch is right, the second is not, and soon the context is full.",
)
class CountsOnFromTheLastCall(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.n_seen = 0

    def forward(self, ids, offset=0):
        start = offset or self.n_seen
        self.n_seen = start + ids.shape[1]
        if self.n_seen > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        positions = torch.arange(start, self.n_seen, device=ids.device)
        return self.token(ids) + self.position(positions)


@bug(
    "Embeddings",
    title="every token has the position of the first",
    misconception="offset is the position. It is that of the first token; the others follow.",
    symptom="Right for one token at a time, wrong for a text.",
)
class GivesAllTheSamePosition(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        return self.token(ids) + self.position(torch.full_like(ids, offset))


@bug(
    "Embeddings",
    title="the position of the text in the batch, not of the token in the text",
    misconception="arange over the first axis counts texts. Positions run along the second.",
    symptom="The same text means something else in another row of the batch.",
)
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


@bug(
    "Embeddings",
    title="ids were looked up in the table of positions",
    misconception="Both layers take ids. The second wants positions.",
    symptom="IndexError for ids beyond context_length; otherwise it even learns.",
)
class LooksUpIdsAsPositions(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        return self.token(ids) + self.position(ids)


@bug(
    "Embeddings",
    title="token vectors were multiplied by the root of d_model",
    misconception="The first transformer did so. GPT does not.",
    symptom="Positions hardly count, and weights from GPT-2 give other logits.",
)
class ScalesTheTokens(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        positions = torch.arange(offset, end, device=ids.device)
        scale = math.sqrt(self.token.embedding_dim)
        return self.token(ids) * scale + self.position(positions)


@bug(
    "Embeddings",
    title="joined end to end, not added",
    misconception="Two vectors are joined by cat. The next layer expects C numbers, not 2C.",
    symptom="Shape (B, T, 2C), and an error in the next layer.",
)
class JoinsTheVectors(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        positions = torch.arange(offset, end, device=ids.device)
        return torch.cat([self.token(ids), self.position(positions).expand(*ids.shape, -1)], dim=-1)


@bug(
    "Embeddings",
    title="multiplied, not added",
    misconception="* is as good as +. Where a position's number is near 0, the token is gone.",
    symptom="It learns, slowly.",
)
class MultipliesTheVectors(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        positions = torch.arange(offset, end, device=ids.device)
        return self.token(ids) * self.position(positions)


@bug(
    "Embeddings",
    title="the two tables have each other's sizes",
    misconception="nn.Embedding(rows, width), twice. Which rows belong to which was mixed up.",
    symptom="IndexError for large ids; saved weights do not load.",
)
class SwapsTheSizes(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(context_length, d_model)
        self.position = nn.Embedding(vocab_size, d_model)

    def forward(self, ids, offset=0):
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions)


@bug(
    "Embeddings",
    title="the positions are kept as a buffer that is saved",
    misconception="register_buffer is how to keep arange around. It puts it into the state_dict, "
    "unless persistent=False.",
    symptom="Unexpected key 'positions' when weights are loaded.",
)
class SavesThePositions(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.register_buffer("positions", torch.arange(context_length))

    def forward(self, ids, offset=0):
        return self.token(ids) + self.position(self.positions[offset : offset + ids.shape[1]])


@bug(
    "Embeddings",
    title="past context_length an IndexError, not a ValueError",
    misconception="The table complains when it ends. On a GPU that is 'device-side assert "
    "triggered', and everything after it fails.",
    symptom="IndexError on a CPU; on a GPU an error in some later line.",
    threads=("facebookresearch/fairseq#757", "lucidrains/phenaki-pytorch#25"),
)
class RunsOffTheTable(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions)


@bug(
    "Embeddings",
    title="the length is checked, but without the offset",
    misconception="A text of T tokens fits if T <= context_length. Not if it begins at an offset.",
    symptom="Right in training; with a cache an IndexError when the context is full.",
)
class ChecksTheLengthOnly(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        if ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got more.")
        positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)
        return self.token(ids) + self.position(positions)


@bug(
    "Embeddings",
    title="a text that just fits is refused",
    misconception="Positions end before context_length, so the end must be smaller. The end is one "
    "past the last position.",
    symptom="ValueError at the full context, the very length that training uses.",
)
class RefusesAFullContext(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        end = offset + ids.shape[1]
        if end >= self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got {end}.")
        positions = torch.arange(offset, end, device=ids.device)
        return self.token(ids) + self.position(positions)


@bug(
    "Embeddings",
    title="positions are made on the CPU, wherever the ids are",
    misconception="torch.arange goes where the others are. It goes to the CPU unless told.",
    symptom="Right on a CPU; on a GPU 'expected all tensors to be on the same device'.",
)
class MakesPositionsOnTheCPU(nn.Module):
    def __init__(self, vocab_size, context_length, d_model):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(self, ids, offset=0):
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(f"context_length is {self.position.num_embeddings}, got {end}.")
        return self.token(ids) + self.position(torch.arange(offset, end))
