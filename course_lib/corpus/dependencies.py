"""Which word of a story depends on which earlier one, and whether it fits.

It reads text, not the grammar's mind: what a model has written can be read as well, and what is
no story has no dependencies.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

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

Span = tuple[int, int]  # start and stop of a word: text[start:stop]

_PLURAL = {
    **dict.fromkeys(NOUNS, False),
    **dict.fromkeys(PLURALS.values(), True),
    **dict.fromkeys(VERBS, False),
    **dict.fromkeys(VERBS.values(), True),
}
_VERBS = {*VERBS, *VERBS.values()}
_CONTRAST = re.compile(
    r"\b(is|are) (?P<no>not )?(?P<first>\w+)\. "
    r"(it|they) (is|are) (?P<yes>not )?(?P<second>\w+)\."
)
_PRONOUNS = {"she", "he"}


class Dependency(NamedTuple):
    """A word and the earlier one that decides what it must be.

    `kind` is "agreement" (a verb and its subject), "reference" (a pronoun and whom it means),
    "contrast" (an adjective and the one before it) or "memory" (a thing, and where the story said
    so first).
    """

    kind: str
    cue: Span
    word: Span
    fits: bool


def dependencies(text: str) -> list[Dependency]:
    """The dependencies of a text of stories, in the order of the dependent words.

    >>> text = "the cats near the dog are old."
    >>> [(text[slice(*d.cue)], text[slice(*d.word)], d.fits) for d in dependencies(text)]
    [('cats', 'are', True)]
    """
    found = []
    for line in re.finditer(r"[^\n]+", text):
        # A word that the text's end may have cut counts for nothing.
        words = [(w.group(), w.span()) for w in re.finditer(r"[a-z]+(?=[^a-z])|\.", line.group())]
        story = [*_agreements(words), *_references(words), *_memories(words)]
        story += _contrasts(line.group())
        found += [_moved(each, line.start()) for each in story]
    return sorted(found, key=lambda each: each.word)


def _agreements(words) -> Iterator[Dependency]:
    """A verb and its subject: the noun before it that has no verb yet."""
    waiting: list[tuple[str, Span]] = []  # subjects
    before = ""
    is_object = False
    for word, span in words:
        if word == ".":
            waiting, is_object = [], False
        elif word in PREPOSITIONS:
            is_object = True  # the next noun
        elif word in _PLURAL and word not in _VERBS:
            if not is_object:
                waiting.append((word, span))
            is_object = False
        elif word in _VERBS and waiting:
            subject, cue = waiting[-1]
            yield Dependency("agreement", cue, span, _PLURAL[subject] == _PLURAL[word])
            if before != "that":  # "the cats that see …" still wait for a verb of their own
                waiting.pop()
            is_object = True
        before = word


def _references(words) -> Iterator[Dependency]:
    """A pronoun that begins a sentence: the hero, or the animals of the sentence before."""
    hero = subject = None
    begins, wants_subject = True, True
    for word, span in words:
        if word in HEROES:
            hero = (word, span)
        elif begins and word in _PRONOUNS and hero:
            fits = PRONOUN_OF[HEROES[hero[0]]] == word
            yield Dependency("reference", hero[1], span, fits)
        elif begins and word in ("it", "they") and subject:
            yield Dependency("reference", subject[1], span, _PLURAL[subject[0]] == (word == "they"))
        if begins and word not in ("it", "they"):
            subject, wants_subject = None, True
        if wants_subject and word in _PLURAL and word not in _VERBS:
            subject, wants_subject = (word, span), False
        begins = word == "."


def _contrasts(line: str) -> Iterator[Dependency]:
    """What the animals are, and what the sentence before said of them."""
    for match in _CONTRAST.finditer(line):
        if match["first"] in OPPOSITE and match["second"] in OPPOSITE:
            fits = OPPOSITE[match["first"]] == match["second"]
            fits = fits and bool(match["no"]) != bool(match["yes"])
            yield Dependency("contrast", match.span("first"), match.span("second"), fits)


def _memories(words) -> Iterator[Dependency]:
    """A colour and a thing that were there before: what the hero still has."""
    first = {}
    for word, span in words:
        for kind in (COLOURS, THINGS):
            if word in kind:
                if kind in first:
                    told, cue = first[kind]
                    yield Dependency("memory", cue, span, told == word)
                first.setdefault(kind, (word, span))


def _moved(dependency: Dependency, by: int) -> Dependency:
    cue, word = ((start + by, stop + by) for start, stop in dependency[1:3])
    return dependency._replace(cue=cue, word=word)
