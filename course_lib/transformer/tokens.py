"""Lesson 1: text as numbers, whole and back, and a learned vector for each number and position."""

from collections import Counter
from itertools import pairwise

import torch
from torch import Tensor, nn

from .shapes import Float, Int


class CharTokenizer:
    """Each character of `text` is a token; its id is its place among all of
    them, sorted.

    `.vocab_size` says how many different ones there are.

    >>> CharTokenizer("hello").encode("hole")
    [1, 3, 2, 0]
    """

    def __init__(self, text: str):
        self.characters = sorted(set(text))
        self.ids = {
            character: i for i, character in enumerate(self.characters)
        }
        self.vocab_size = len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The ids of the characters of `text`.

        Raises:
            ValueError: a character is not in the vocabulary.
        """
        unknown = [
            character for character in text if character not in self.ids
        ]
        if unknown:
            raise ValueError(
                f"text must hold known characters only, got {unknown[0]!r}."
            )
        return [self.ids[character] for character in text]

    def decode(self, ids: list[int]) -> str:
        """The text whose ids these are.

        Raises:
            ValueError: an id is not in the vocabulary.
        """
        unknown = [i for i in ids if not 0 <= i < self.vocab_size]
        if unknown:
            raise ValueError(
                f"ids must lie in 0..{self.vocab_size - 1}, "
                f"got {unknown[0]}."
            )
        return "".join(self.characters[i] for i in ids)


def merge_pair(
    ids: list[int], pair: tuple[int, int], new_id: int
) -> list[int]:
    """A copy of `ids` in which `new_id` stands for every `pair` of
    neighbours.

    From left to right, and an id that has been merged is not merged again.

    >>> merge_pair([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    merged, position = [], 0
    while position < len(ids):
        if tuple(ids[position : position + 2]) == pair:
            merged.append(new_id)
            position += 2
        else:
            merged.append(ids[position])
            position += 1
    return merged


def train_bpe(
    ids: list[int], n_merges: int, first_new_id: int = 256
) -> list[tuple[int, int]]:
    """The pairs that byte-pair encoding merges in `ids`, most frequent
    first, at most `n_merges`.

    Each round counts the pairs at every position, overlaps included, and
    merges the most frequent one (of several, the smallest) into the next
    new id, from `first_new_id` on. It stops early when no pair occurs
    twice. `ids` stays as it is.

    Raises:
        ValueError: an id is `first_new_id` or larger.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with
        Subword Units" (2016).
    """
    if max(ids, default=0) >= first_new_id:
        raise ValueError(
            f"ids must be below first_new_id={first_new_id}, "
            f"got {max(ids)}."
        )
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pairwise(ids))
        best = min(
            counts, key=lambda pair: (-counts[pair], pair), default=None
        )
        if counts[best] < 2:
            break
        ids = merge_pair(ids, best, first_new_id + len(merges))
        merges.append(best)
    return merges


class BPETokenizer:
    """Text as UTF-8 bytes, 0 to 255, with `merges` applied to them in the
    order learned.

    The merge at place n makes the id `first_new_id + n`, so `.vocab_size`
    is `first_new_id + len(merges)`.

    Raises:
        ValueError: `first_new_id` is below 256, where the bytes are.

    >>> BPETokenizer([(104, 105)]).encode("hi, hi")
    [256, 44, 32, 256]
    """

    def __init__(
        self, merges: list[tuple[int, int]], first_new_id: int = 256
    ):
        if first_new_id < 256:
            raise ValueError(
                "first_new_id must be at least 256, "
                f"got first_new_id={first_new_id}."
            )
        self.merges = dict(enumerate(merges, start=first_new_id))
        self.vocab_size = first_new_id + len(merges)
        self.pieces = {byte: bytes([byte]) for byte in range(256)}
        for new_id, (left, right) in self.merges.items():
            self.pieces[new_id] = self.pieces[left] + self.pieces[right]

    def encode(self, text: str) -> list[int]:
        """The ids of `text`: its bytes, merged.

        `decode` gives back every text that UTF-8 can encode.
        """
        ids = list(text.encode("utf-8"))
        for new_id, pair in self.merges.items():
            ids = merge_pair(ids, pair, new_id)
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text whose ids these are; bytes that are no UTF-8 become
        U+FFFD, `�`.

        Raises:
            ValueError: an id stands for nothing.
        """
        unknown = [i for i in ids if i not in self.pieces]
        if unknown:
            raise ValueError(
                f"ids must be bytes or merged pairs, got {unknown[0]}."
            )
        return b"".join(self.pieces[i] for i in ids).decode(
            "utf-8", errors="replace"
        )


class Embeddings(nn.Module):
    """A learned vector for what a token is, plus one for where it stands.

    `.token` and `.position` are each an `nn.Embedding`: the first has a row
    for every token, the second one for every position.
    """

    def __init__(self, vocab_size: int, context_length: int, d_model: int):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)

    def forward(
        self, ids: Int[Tensor, "B T"], offset: int = 0
    ) -> Float[Tensor, "B T C"]:
        """The vectors of `ids`, whose first column stands at position
        `offset` of its text.

        Raises:
            ValueError: the positions reach past `context_length`.
        """
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(
                "ids must end by position "
                f"context_length={self.position.num_embeddings}, "
                f"got {ids.shape[1]} tokens from offset={offset} on."
            )
        positions = torch.arange(offset, end, device=ids.device)
        return self.token(ids) + self.position(positions)
