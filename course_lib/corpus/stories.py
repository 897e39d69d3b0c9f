"""Small stories by a grammar of our own, the same for the same seed on every machine.

    mia is a girl. she has a red hat. the cats near the dog are not big. they are small. the hen
    that the frogs like sees the goat. she still has the red hat.

A verb agrees with a subject that may stand several words before it, a pronoun with whom the story
is about, an adjective with the sentence before, and the end with the beginning.
"""

from collections.abc import Sequence
from random import Random

from .words import (
    COLOURS,
    HEROES,
    NOUNS,
    OPPOSITE,
    PLURALS,
    PREPOSITIONS,
    PRONOUN_OF,
    THINGS,
    VERBS,
)


def stories(n_characters: int, *, seed: int) -> str:
    """A text of exactly `n_characters`: stories, one a line, the last one cut where it must be.

    >>> stories(30, seed=3)
    'eva is a girl. she has a red b'

    Raises:
        ValueError: a negative `n_characters`.
    """
    if n_characters < 0:
        raise ValueError(f"n_characters must be at least 0, got {n_characters}.")
    teller, lines, missing = _Teller(seed), [], n_characters
    while missing > 0:
        lines.append(teller.story() + "\n")
        missing -= len(lines[-1])
    return "".join(lines)[:n_characters]


class _Teller:
    """Makes up one story after the other."""

    def __init__(self, seed: int):
        self._random = Random(seed)

    def story(self) -> str:
        """One story, without the end of its line."""
        hero = self._one_of(tuple(HEROES))
        kind = HEROES[hero]
        thing = f"{self._one_of(COLOURS)} {self._one_of(THINGS)}"
        sentences = [f"{hero} is a {kind}.", f"{PRONOUN_OF[kind]} has a {thing}."]
        for _ in range(self._below(4)):
            sentences.append(self._one_of((self._scene, self._contrast))())
        sentences.append(f"{PRONOUN_OF[kind]} still has the {thing}.")
        return " ".join(sentences)

    def _scene(self) -> str:
        """Somebody does something, and what they are stands between them and their verb."""
        subject, is_plural = self._animals()
        verb = self._verb(is_plural)
        return f"the {subject} {self._about(is_plural)} {verb} the {self._animals()[0]}."

    def _contrast(self) -> str:
        """Two sentences about the same animals: the second says what the first one denies."""
        subject, is_plural = self._animals()
        be, pronoun = ("are", "they") if is_plural else ("is", "it")
        adjective = self._one_of(tuple(OPPOSITE))
        here, there = self._one_of((("not ", ""), ("", "not ")))
        about = f"{self._about(is_plural)} " if self._below(2) else ""
        return (
            f"the {subject} {about}{be} {here}{adjective}. "
            f"{pronoun} {be} {there}{OPPOSITE[adjective]}."
        )

    def _about(self, is_plural: bool) -> str:
        """What tells animals from others: a place, whom they see, or who sees them."""
        other, others = self._animals()
        form = self._below(3)
        if form == 0:
            return f"{self._one_of(PREPOSITIONS)} the {other}"
        if form == 1:
            return f"that {self._verb(is_plural)} the {other}"
        return f"that the {other} {self._verb(others)}"

    def _animals(self) -> tuple[str, bool]:
        """One animal or several, and whether it is several."""
        noun, is_plural = self._one_of(NOUNS), self._below(2) == 1
        return (PLURALS[noun] if is_plural else noun), is_plural

    def _verb(self, is_plural: bool) -> str:
        verb = self._one_of(tuple(VERBS)[1:])
        return VERBS[verb] if is_plural else verb

    def _one_of(self, choices: Sequence):
        return choices[self._below(len(choices))]

    def _below(self, n: int) -> int:
        # Of all that Random offers, only `random` is promised to stay the same in later Pythons.
        return int(self._random.random() * n)
