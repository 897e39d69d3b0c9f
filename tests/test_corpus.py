"""The built-in text: the same everywhere, as long as asked for, and made of what it says."""

import hashlib
import re

import pytest

from course_lib.corpus import ALPHABET, WORDS, dependencies, stories


def test_the_same_seed_gives_the_same_text_on_every_machine():
    digest = hashlib.sha256(stories(20_000, seed=12).encode()).hexdigest()
    assert digest == "828c1bf1b6f773fea6fae02d5045c32e5aeaca0031bd66db00123db2428a229c"


def test_another_seed_gives_another_text():
    openings = {stories(400, seed=seed) for seed in range(50)}
    assert len(openings) == 50


@pytest.mark.parametrize("n", [0, 1, 2, 97, 1000])
def test_the_text_is_as_long_as_asked_for_and_a_longer_one_begins_with_it(n):
    text = stories(n, seed=1)
    assert len(text) == n
    assert stories(n + 500, seed=1).startswith(text)


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="n_characters must be at least 0, got -1"):
        stories(-1, seed=0)


def test_every_text_uses_one_small_alphabet_and_only_words_of_the_list():
    text = stories(30_000, seed=2)
    assert sorted(set(text)) == list(ALPHABET)
    assert len(ALPHABET) < 32
    assert set(re.findall(r"[a-z]+", text.rpartition("\n")[0])) <= WORDS


def test_two_long_texts_share_hardly_a_story():
    one, other = (set(stories(100_000, seed=seed).split("\n")) for seed in (3, 4))
    long_ones = {story for story in one if len(story) > 150}
    assert len(long_ones & other) < len(long_ones) / 100


def found(text):
    return [
        (each.kind, text[slice(*each.cue)], text[slice(*each.word)], each.fits)
        for each in dependencies(text)
    ]


def test_dependencies_of_a_story_read_by_hand():
    text = (
        "mia is a girl. she has a red hat. the cats that the dog sees are not big. they are "
        "small. the hen near the frogs likes the goat. she still has the red hat.\n"
    )
    assert found(text) == [
        ("reference", "mia", "she", True),
        ("agreement", "dog", "sees", True),
        ("agreement", "cats", "are", True),
        ("reference", "cats", "they", True),
        ("contrast", "big", "small", True),
        ("agreement", "hen", "likes", True),
        ("reference", "mia", "she", True),
        ("memory", "red", "red", True),
        ("memory", "hat", "hat", True),
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("the cats near the dog is old.", ("agreement", "cats", "is", False)),
        ("the cats that sees the dog are old.", ("agreement", "cats", "sees", False)),
        ("the cat that the dogs see hear the hen.", ("agreement", "cat", "hear", False)),
        ("mia is a girl. he has a red hat.", ("reference", "mia", "he", False)),
        ("the cats are big. it is not small.", ("reference", "cats", "it", False)),
        ("the cats are big. they are small.", ("contrast", "big", "small", False)),
        ("the cats are big. they are not young.", ("contrast", "big", "young", False)),
        ("he has a red hat. he still has the blue hat.", ("memory", "red", "blue", False)),
    ],
)
def test_what_does_not_fit_is_found(text, wrong):
    assert [each for each in found(text) if not each[3]] == [wrong]


def test_everything_fits_in_what_the_grammar_writes_wherever_it_is_cut():
    kinds = set()
    for n in range(3000, 3400):
        for each in dependencies(stories(n, seed=7)):
            assert each.fits
            assert each.cue[1] <= each.word[0]
            kinds.add(each.kind)
    assert kinds == {"agreement", "reference", "contrast", "memory"}


def test_nonsense_has_no_dependencies_and_raises_nothing():
    for text in ("", "\n\n", "are are.", "they still", "xq zz. that that near", "is. are. the"):
        assert dependencies(text) == []
