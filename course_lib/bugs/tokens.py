"""What goes wrong in lesson 1: characters, pairs of bytes, and the vectors of tokens."""

import math
import unicodedata
from collections import Counter
from itertools import pairwise

import torch
from torch import nn

from course_lib.transformer.tokens import merge_pair

from . import bugs, whole_bug

bugs("""CharTokenizer:

KeepsTheOrderOfAppearance
    the vocabulary is in the order of first appearance, not sorted
    believed: Any order will do as long as encode and decode agree. But then texts of the same
        characters give different ids.
    seen: Round trips work; a saved model reads nonsense in another run.
    - self.characters = sorted(set(text))
    + self.characters = list(dict.fromkeys(text))

UsesCodePoints
    ids are code points (ord), not places in the vocabulary
    believed: ord gives every character an id already. But code points reach past a million, and the
        model needs a row for each.
    seen: IndexError in the embedding, whose table is smaller than the ids.
    - character: i for i, character in enumerate(self.characters)
    + character: ord(character) for character in self.characters

    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    + unknown = [i for i in ids if i not in self.ids.values()]

    - return "".join(self.characters[i] for i in ids)
    + return "".join(chr(i) for i in ids)

CountsFromOne
    ids begin at 1
    believed: The first one is number 1. But rows of a table are counted from 0, and ids are looked
        up there.
    seen: The last character has an id that the embedding does not have: IndexError.
    - character: i for i, character in enumerate(self.characters)
    + character: i
    + for i, character in enumerate(self.characters, start=1)

    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    + unknown = [i for i in ids if not 1 <= i <= self.vocab_size]

    - return "".join(self.characters[i] for i in ids)
    + return "".join(self.characters[i - 1] for i in ids)

SkipsUnknownCharacters
    unknown characters are left out without a word
    believed: A tokenizer should take any text. But then decode(encode(text)) is another text, and
        nobody is told.
    seen: Letters vanish from the prompt.
    - unknown = [
    -     character for character in text if character not in self.ids
    + return [
    +     self.ids[character]
    +     for character in text
    +     if character in self.ids
    = ]
    - if unknown:
    -     raise ValueError(
    -         f"text must hold known characters only, got {unknown[0]!r}."
    -     )
    - return [self.ids[character] for character in text]

TurnsUnknownCharactersIntoZero
    unknown characters become the id 0
    believed: The id 0 is free for the unknown. It is that of the first character.
    seen: Unknown letters come back as spaces or line ends.
    - unknown = [
    -     character for character in text if character not in self.ids
    - ]
    - if unknown:
    -     raise ValueError(
    -         f"text must hold known characters only, got {unknown[0]!r}."
    -     )
    - return [self.ids[character] for character in text]
    + return [self.ids.get(character, 0) for character in text]

ReadsNegativeIds
    negative ids count from the end of the vocabulary
    believed: A list raises an IndexError for a wrong index. But for -1 it returns the last item.
    seen: A wrong id, such as the -100 that marks ignored targets, becomes a letter.
    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    + unknown = [
    +     i for i in ids if not -self.vocab_size <= i < self.vocab_size
    + ]

LooksUpWithoutLooking
    what is unknown raises KeyError or IndexError, not ValueError
    believed: Any error is good enough. But KeyError: 'd' says neither which argument was wrong nor
        why.
    seen: KeyError or IndexError from deep inside.
    reported: karpathy/nanoGPT#434
    - unknown = [
    -     character for character in text if character not in self.ids
    - ]
    - if unknown:
    -     raise ValueError(
    -         f"text must hold known characters only, got {unknown[0]!r}."
    -     )

    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    - if unknown:
    -     raise ValueError(
    -         f"ids must lie in 0..{self.vocab_size - 1}, "
    -         f"got {unknown[0]}."
    -     )

DecodesToAList
    decode returns a list of characters, not a string
    believed: A list of characters is as good as a text. But it prints with commas, and text +
        decode(ids) fails.
    seen: TypeError: can only concatenate str to str.
    - return "".join(self.characters[i] for i in ids)
    + return [self.characters[i] for i in ids]

MeasuresTheText
    vocab_size is the length of the text
    believed: len(text) says how many characters there are. It counts each as often as it occurs,
        not each once.
    seen: An embedding of a million rows, of which 65 are used.
    - self.vocab_size = len(self.characters)
    + self.vocab_size = len(text)

    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    + unknown = [i for i in ids if not 0 <= i < len(self.characters)]

MakesTheSizeAMethod
    vocab_size is a method, not a number
    believed: tokenizer.vocab_size() reads well. Here it is a number:
        nn.Embedding(tokenizer.vocab_size, …) takes it as it is.
    seen: TypeError: a method where an int was expected.
    -     self.vocab_size = len(self.characters)
    + def vocab_size(self) -> int:
    +     return len(self.characters)

    - unknown = [i for i in ids if not 0 <= i < self.vocab_size]
    + unknown = [i for i in ids if not 0 <= i < self.vocab_size()]

    - f"ids must lie in 0..{self.vocab_size - 1}, "
    + f"ids must lie in 0..{self.vocab_size() - 1}, "

LowersTheText
    upper and lower case were made one
    believed: A smaller vocabulary learns faster. But it cannot say 'I'.
    seen: Text comes back in lower case.
    - self.characters = sorted(set(text))
    + self.characters = sorted(set(text.lower()))

    = def encode(self, text: str) -> list[int]:
    +     text = text.lower()

StripsTheText
    spaces and line ends at the edges were stripped
    believed: strip() only tidies a text up. But a space is a token like any other.
    seen: 'the ' and 'the' have the same ids, and words grow together.
    - self.characters = sorted(set(text))
    + self.characters = sorted(set(text.strip()))

    = def encode(self, text: str) -> list[int]:
    +     text = text.strip()
""")


bugs("""merge_pair:

keeps_the_second_id
    after a match the second id of the pair stays in the list
    believed: A merged pair is one step, like any other id. It is two: otherwise its second id is
        looked at again.
    seen: The list does not get shorter.
    - position += 2
    + position += 1

merges_from_the_right
    merged from right to left
    believed: The direction does not matter. It does in a run: a, a, a has two readings, and it is
        read from the left.
    seen: Only runs of equal ids differ; encode and training disagree.
    - merged, position = [], 0
    - while position < len(ids):
    -     if tuple(ids[position : position + 2]) == pair:
    + merged, position = [], len(ids) - 1
    + while position >= 0:
    +     if position > 0 and tuple(ids[position - 1 : position + 1]) == pair:
    =         merged.append(new_id)
    -         position += 2
    +         position -= 2
    =     else:
    =         merged.append(ids[position])
    -         position += 1
    - return merged
    +         position -= 1
    + return merged[::-1]

loses_the_last_id
    the last id is lost
    believed: Pairs end at len(ids) - 1, so the loop does too. But an id that is in no pair has to
        be copied all the same.
    seen: Texts end one token early, unless they end in the pair.
    - while position < len(ids):
    + while position < len(ids) - 1:

looks_past_the_end
    the last id has no neighbour: IndexError
    believed: Every id has a neighbour to its right. The last one has none.
    seen: IndexError: list index out of range, unless the list ends in the pair.
    - if tuple(ids[position : position + 2]) == pair:
    + if (ids[position], ids[position + 1]) == pair:

merges_once
    only the first pair was merged
    believed: A pair occurs once. It may occur more often, and every time it is merged.
    seen: The list gets shorter by one, however often the pair occurs.
    - merged.append(new_id)
    - position += 2
    + return [*ids[:position], new_id, *ids[position + 2 :]]

ignores_the_order_of_the_pair
    the pair is merged in either order
    believed: A pair is two ids. It is two ids in an order: 'ab' is not 'ba'.
    seen: 'ab' and 'ba' decode to the same text.
    - if tuple(ids[position : position + 2]) == pair:
    + if tuple(ids[position : position + 2]) in (pair, pair[::-1]):

walks_in_steps_of_two
    always on by two places
    believed: Pairs are two ids long, so the list is walked in steps of two. But a pair may begin at
        an odd place.
    seen: About half of the pairs are missed.
    - merged.append(ids[position])
    - position += 1
    + merged += ids[position : position + 2]
    + position += 2

merges_in_place
    the caller's list was changed
    believed: ids may be changed here, as only the result counts. It is the caller's list: make a
        new one.
    seen: Right the first time; then training data are merged already.
    - merged, position = [], 0
    + position = 0
    = while position < len(ids):
    =     if tuple(ids[position : position + 2]) == pair:
    -         merged.append(new_id)
    -         position += 2
    -     else:
    -         merged.append(ids[position])
    -         position += 1
    - return merged
    +         ids[position : position + 2] = [new_id]
    +     position += 1
    + return ids

returns_nothing
    nothing is returned
    believed: The new list is made, so the work is done. The caller gets it by return only.
    seen: TypeError: 'NoneType' object is not iterable, in the next round.
    - return merged

compares_objects
    numbers compared with `is`
    believed: `is` means equal. It means the same object, which small numbers happen to be.
    seen: Works for bytes; ids above 256 are never merged.
    - if tuple(ids[position : position + 2]) == pair:
    + if (
    +     position + 1 < len(ids)
    +     and ids[position] is pair[0]
    +     and ids[position + 1] is pair[1]
    + ):
""")


@whole_bug("merge_pair")
def replaces_in_a_string(ids, pair, new_id):
    """replaced in a text of numbers
    believed: str.replace does all of this. But it also finds '1 2' within '11 22'.
    seen: Strange new ids as soon as ids have more than one digit.
    """
    both = f"{pair[0]} {pair[1]}"
    text = " ".join(map(str, ids)).replace(both, str(new_id))
    return [int(number) for number in text.split()]


bugs("""train_bpe:

takes_the_first_of_equals
    of equally frequent pairs the one seen first is taken
    believed: Of equally frequent pairs any will do. But the first one found depends on the order of
        the texts; here the smallest is merged.
    seen: The same data in another order give another tokenizer.
    reported: karpathy/minbpe#90
    - best = min(
    -     counts, key=lambda pair: (-counts[pair], pair), default=None
    - )
    + best = max(counts, key=counts.get, default=None)

takes_the_largest_of_equals
    of equally frequent pairs the largest is taken
    believed: Taking the largest (count, pair) settles ties. It settles them the wrong way: of
        equally frequent pairs the smallest is merged.
    seen: Right until two pairs are equally frequent.
    - best = min(
    -     counts, key=lambda pair: (-counts[pair], pair), default=None
    + best = max(
    +     counts, key=lambda pair: (counts[pair], pair), default=None

counts_without_overlap
    overlapping pairs are not counted
    believed: Only what can be merged counts, and in a, a, a that is once. That makes sense, but
        here every position counts, as in most programs.
    seen: Other merges wherever a text has runs: spaces, dots, zeros.
    reported: karpathy/minbpe#51, karpathy/minbpe#72
    - counts = Counter(pairwise(ids))
    + counts, free = Counter(), {}
    + for n, pair in enumerate(pairwise(ids)):
    +     if free.get(pair, 0) <= n:
    +         counts[pair] += 1
    +         free[pair] = n + 2

counts_only_once
    pairs are counted once, before the first merge
    believed: The counts say once and for all which pairs are frequent. But each merge changes them
        and makes new pairs.
    seen: No merge ever builds on another: tokens of two bytes only.
    - while len(merges) < n_merges:
    -     counts = Counter(pairwise(ids))
    + counts = Counter(pairwise(ids))
    + while len(merges) < n_merges:

    - ids = merge_pair(ids, best, first_new_id + len(merges))
    + del counts[best]

merges_what_occurs_once
    goes on when no pair occurs twice
    believed: All n_merges must be made. A pair that occurs once saves one id and costs one, so the
        merging stops before it.
    seen: Merges that spell the training text out, whole sentences as one token.
    - if counts[best] < 2:
    + if counts[best] < 1:

wants_three
    stops although a pair still occurs twice
    believed: A pair must occur more than twice. Twice is enough.
    seen: Fewer merges than asked for.
    - if counts[best] < 2:
    + if counts[best] <= 2:

needs_a_pair
    a text without pairs is an error
    believed: There is always a most frequent pair. There is none in an empty text, nor in one that
        was merged into a single id.
    seen: ValueError from min(), which has nothing to choose from.
    - best = min(
    -     counts, key=lambda pair: (-counts[pair], pair), default=None
    - )
    + best = min(counts, key=lambda pair: (-counts[pair], pair))

always_begins_at_256
    new ids always begin at 256
    believed: Merged ids begin at 256, behind the bytes. They begin at first_new_id, which is 256
        only by default.
    seen: Right by default; with another first_new_id, ids that mean nothing.
    - ids = merge_pair(ids, best, first_new_id + len(merges))
    + ids = merge_pair(ids, best, 256 + len(merges))

reuses_the_first_new_id
    every merge makes the same new id
    believed: first_new_id is the id of every merge. It is that of the first; each later merge gets
        the next.
    seen: Different pairs become one token, and later merges join what never stood together.
    - ids = merge_pair(ids, best, first_new_id + len(merges))
    + ids = merge_pair(ids, best, first_new_id)

merges_the_rarest
    the rarest pair is merged, not the most frequent one
    believed: min() by the counts finds the most frequent pair. It finds the rarest.
    seen: Tokens for typing errors and none for 'the'.
    + often = [pair for pair in counts if counts[pair] >= 2]
    = best = min(
    -     counts, key=lambda pair: (-counts[pair], pair), default=None
    +     often, key=lambda pair: (counts[pair], pair), default=None

returns_a_dictionary
    a dictionary of pairs and ids instead of the list of pairs
    believed: encode wants to look pairs up, so a dictionary comes back. A list is asked for: the
        order of the merges is what matters.
    seen: TypeError or strange merges in whatever expects pairs.
    - merges = []
    + merges = {}

    - ids = merge_pair(ids, best, first_new_id + len(merges))
    - merges.append(best)
    + merges[best] = first_new_id + len(merges)
    + ids = merge_pair(ids, best, merges[best])

accepts_large_ids
    ids of first_new_id and above are accepted
    believed: All ids are below first_new_id anyway. One that is not would be taken for a merged
        pair, so it must be refused.
    seen: Two meanings for one id.
    - if max(ids, default=0) >= first_new_id:
    -     raise ValueError(
    -         f"ids must be below first_new_id={first_new_id}, "
    -         f"got {max(ids)}."
    -     )

trains_in_place
    the caller's list was changed
    believed: ids may be overwritten to save memory. It is the caller's list, and the training data
        would be merged too.
    seen: A second training on the same list gives other merges, or a ValueError.
    - ids = merge_pair(ids, best, first_new_id + len(merges))
    + ids[:] = merge_pair(ids, best, first_new_id + len(merges))
""")


bugs("""BPETokenizer:

EncodesCodePoints
    code points (ord, chr) instead of UTF-8 bytes
    believed: ord gives the bytes of a character. For English it does; other characters have several
        bytes in UTF-8.
    seen: Right for English; 'é' has the wrong id, and an emoji has one that means nothing.
    - self.pieces = {byte: bytes([byte]) for byte in range(256)}
    + self.pieces = {byte: chr(byte) for byte in range(256)}

    - ids = list(text.encode("utf-8"))
    + ids = [ord(character) for character in text]

    - return b"".join(self.pieces[i] for i in ids).decode(
    -     "utf-8", errors="replace"
    - )
    + return "".join(self.pieces[i] for i in ids)

DecodesIdById
    each id is decoded by itself
    believed: A token is a piece of text. It is a piece of bytes, and may be half a letter.
    seen: Emoji and accents come out as � while English is fine.
    reported: exo-explore/exo#1691, antonellof/ferrox#124
    - return b"".join(self.pieces[i] for i in ids).decode(
    -     "utf-8", errors="replace"
    + return "".join(
    +     self.pieces[i].decode("utf-8", errors="replace") for i in ids

DecodesStrictly
    invalid bytes are an error
    believed: decode('utf-8') reads what encode('utf-8') wrote. But a model may write anything.
    seen: UnicodeDecodeError in the middle of a generated text.
    reported: Blaizzy/mlx-vlm#835
    - return b"".join(self.pieces[i] for i in ids).decode(
    -     "utf-8", errors="replace"
    - )
    + return b"".join(self.pieces[i] for i in ids).decode("utf-8")

IgnoresInvalidBytes
    invalid bytes vanish
    believed: Bytes that are no text can be left out. But then the reader cannot see that something
        was there; � shows it.
    seen: Letters are missing in generated text, without a trace.
    - "utf-8", errors="replace"
    + "utf-8", errors="ignore"

MergesInReverse
    the merges are applied last one first
    believed: The last merges are the longest tokens, so they go first. But they are made of earlier
        ones, which do not exist yet.
    seen: Hardly anything is merged: texts are longer than in training.
    - for new_id, pair in self.merges.items():
    + for new_id, pair in reversed(self.merges.items()):

TakesTheLongestToken
    the longest token is taken at each place, not the merges in their order
    believed: Encoding takes the longest token that fits. BPE has no such rule: its merges are
        played back in their order.
    seen: Mostly the same ids; a few texts are cut otherwise than in training.
    reported: google/sentencepiece#406
    - ids = list(text.encode("utf-8"))
    - for new_id, pair in self.merges.items():
    -     ids = merge_pair(ids, pair, new_id)
    + left, ids = text.encode("utf-8"), []
    + while left:
    +     fitting = [
    +         i
    +         for i, piece in self.pieces.items()
    +         if left.startswith(piece)
    +     ]
    +     ids.append(max(fitting, key=lambda i: len(self.pieces[i])))
    +     left = left[len(self.pieces[ids[-1]]) :]

NormalisesTheText
    the text was normalised (NFC) first
    believed: é is always the same. As one character or as e and an accent it has other bytes, and
        what goes in must come out.
    seen: Round trips change some texts in ways that one cannot see.
    - ids = list(text.encode("utf-8"))
    + ids = list(unicodedata.normalize("NFC", text).encode("utf-8"))

IgnoresTheFirstNewId
    new ids always begin at 256, whatever first_new_id
    believed: There are 256 bytes, so the first merge is 256. It is first_new_id: ids in between may
        be kept free.
    seen: Right by default; otherwise other ids, and a KeyError where a merge is made of merges.
    - self.merges = dict(enumerate(merges, start=first_new_id))
    - self.vocab_size = first_new_id + len(merges)
    + self.merges = dict(enumerate(merges, start=256))
    + self.vocab_size = 256 + len(merges)

CountsTheMergesOnly
    vocab_size counts the merges only
    believed: The vocabulary is what was learned. The ids below first_new_id, with all bytes, belong
        to it too.
    seen: IndexError in the embedding for nearly every text.
    - self.vocab_size = first_new_id + len(merges)
    + self.vocab_size = len(merges)

SkipsUnknownIds
    unknown ids are left out without a word
    believed: An id that stands for nothing can be left out. It is somebody's mistake, and they
        should be told.
    seen: Pieces are missing from the text.
    - unknown = [i for i in ids if i not in self.pieces]
    - if unknown:
    -     raise ValueError(
    -         f"ids must be bytes or merged pairs, got {unknown[0]}."
    -     )
    + ids = [i for i in ids if i in self.pieces]

LooksUpUnknownIds
    unknown ids raise KeyError, not ValueError
    believed: Any error is good enough. But KeyError: 300 does not say which argument was wrong.
    seen: KeyError from deep inside.
    reported: karpathy/nanoGPT#273
    - unknown = [i for i in ids if i not in self.pieces]
    - if unknown:
    -     raise ValueError(
    -         f"ids must be bytes or merged pairs, got {unknown[0]}."
    -     )

AcceptsIdsOfBytes
    first_new_id below 256 is accepted
    believed: Nobody asks for a first_new_id below 256. With 255, one id is a byte and a merged
        pair, and one of them is lost.
    seen: A letter comes back as two others.
    - if first_new_id < 256:
    -     raise ValueError(
    -         "first_new_id must be at least 256, "
    -         f"got first_new_id={first_new_id}."
    -     )
""")


bugs("""Embeddings:

NeverAddsPositions
    the positions are not added
    believed: A layer made in __init__ works by itself. forward must use it: look the positions up,
        and add them.
    seen: 'dog bites man' and 'man bites dog' are the same; position never gets a gradient.
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + return self.token(ids)

IgnoresTheOffset
    the offset is ignored, positions always begin at 0
    believed: The first column stands at position 0. It stands at offset, as when a text goes on
        with one more token.
    seen: Right in training; each new token believes that it is the first.
    reported: Blaizzy/mlx-vlm#1983, ml-explore/mlx-lm#93, huggingface/transformers#15751
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + return self.token(ids) + self.position(
    +     torch.arange(ids.shape[1], device=ids.device)
    + )

CountsOnFromTheLastCall
    positions go on from where the last call ended
    believed: The layer can count by itself how far the text has come. But it cannot know that the
        next call is another text.
    seen: The first batch is right, the second is not, and soon the context is full.
    = self.position = nn.Embedding(context_length, d_model)
    + self.n_seen = 0

    - end = offset + ids.shape[1]
    + offset = offset or self.n_seen
    + end = self.n_seen = offset + ids.shape[1]

GivesAllTheSamePosition
    every token has the position of the first
    believed: offset is the position. It is that of the first token; the others follow.
    seen: Right for one token at a time, wrong for a text.
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + return self.token(ids) + self.position(torch.full_like(ids, offset))

CountsTheTexts
    the position of the text in the batch, not of the token in the text
    believed: The first axis holds the tokens of a text. It holds the texts; positions run along the
        second.
    seen: The same text means something else in another row of the batch.
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + rows = torch.arange(ids.shape[0], device=ids.device) + offset
    + return self.token(ids) + self.position(rows)[:, None]

LooksUpIdsAsPositions
    ids were looked up in the table of positions
    believed: Both layers take ids. The second wants positions.
    seen: IndexError for ids beyond context_length; otherwise it even learns.
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + return self.token(ids) + self.position(ids)

ScalesTheTokens
    token vectors were multiplied by the root of d_model
    believed: Token vectors are multiplied by sqrt(d_model), as in the first transformer. Here, as
        in GPT, they are not.
    seen: Positions hardly count, and weights from GPT-2 give other logits.
    - return self.token(ids) + self.position(positions)
    + scale = math.sqrt(self.token.embedding_dim)
    + return self.token(ids) * scale + self.position(positions)

JoinsTheVectors
    joined end to end, not added
    believed: The two vectors stand side by side. They are added: the next layer expects C numbers,
        not 2C.
    seen: Shape (B, T, 2C), and an error in the next layer.
    - return self.token(ids) + self.position(positions)
    + return torch.cat(
    +     [
    +         self.token(ids),
    +         self.position(positions).expand(*ids.shape, -1),
    +     ],
    +     dim=-1,
    + )

MultipliesTheVectors
    multiplied, not added
    believed: * is as good as +. But where a position's number is near 0, the token is gone.
    seen: It learns, slowly.
    - return self.token(ids) + self.position(positions)
    + return self.token(ids) * self.position(positions)

SwapsTheSizes
    the two tables have each other's sizes
    believed: The table of tokens has context_length rows. It has one for each token of the
        vocabulary; that of positions has context_length.
    seen: IndexError for large ids; saved weights do not load.
    - self.token = nn.Embedding(vocab_size, d_model)
    - self.position = nn.Embedding(context_length, d_model)
    + self.token = nn.Embedding(context_length, d_model)
    + self.position = nn.Embedding(vocab_size, d_model)

SavesThePositions
    the positions are kept as a buffer that is saved
    believed: A buffer is only kept around, not saved. It is part of the state_dict unless
        persistent=False.
    seen: Missing key 'positions' when weights are loaded.
    = self.position = nn.Embedding(context_length, d_model)
    + self.register_buffer("positions", torch.arange(context_length))

    - positions = torch.arange(offset, end, device=ids.device)
    + positions = self.positions[offset:end]

RunsOffTheTable
    past context_length an IndexError, not a ValueError
    believed: The table complains by itself when it ends. On a GPU that is 'device-side assert
        triggered', and everything after it fails.
    seen: IndexError on a CPU; on a GPU an error in some later line.
    reported: facebookresearch/fairseq#757, lucidrains/phenaki-pytorch#25
    - if end > self.position.num_embeddings:
    -     raise ValueError(
    -         "ids must end by position "
    -         f"context_length={self.position.num_embeddings}, "
    -         f"got {ids.shape[1]} tokens from offset={offset} on."
    -     )

ChecksTheLengthOnly
    the length is checked, but without the offset
    believed: A text of T tokens fits if T <= context_length. But it may begin at an offset, and end
        too late.
    seen: Right in training; with a cache an IndexError when the context is full.
    - if end > self.position.num_embeddings:
    + if ids.shape[1] > self.position.num_embeddings:

RefusesAFullContext
    a text that just fits is refused
    believed: Positions end before context_length, so the end must be smaller. The end is one past
        the last position, and may equal it.
    seen: ValueError at the full context, the very length that training uses.
    - if end > self.position.num_embeddings:
    + if end >= self.position.num_embeddings:

MakesPositionsOnTheCPU
    positions are made on the CPU, wherever the ids are
    believed: A new tensor goes where the others are. It goes to the CPU unless told otherwise.
    seen: Right on a CPU; on a GPU 'expected all tensors to be on the same device'.
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + return self.token(ids) + self.position(torch.arange(offset, end))

counts_positions_in_the_dtype_of_the_tables
    positions were counted in the dtype of the tables
    believed: In a half-precision model, positions are in half precision too. But bfloat16 holds all
        whole numbers up to 256 only, and float16 up to 2048.
    seen: Right in float32. In half precision far positions share their neighbours' vectors.
    reported: elixir-nx/bumblebee#299
    - positions = torch.arange(offset, end, device=ids.device)
    - return self.token(ids) + self.position(positions)
    + positions = torch.arange(offset, end, device=ids.device).to(
    +     self.position.weight.dtype
    + )
    + return self.token(ids) + self.position(positions.long())
""")
