"""The words of the stories. Number and meaning are what the stories make depend on each other."""

HEROES = {
    **dict.fromkeys(("ada", "eva", "mia", "zoe"), "girl"),
    **dict.fromkeys(("ben", "max", "sam", "tom"), "boy"),
}
PRONOUN_OF = {"girl": "she", "boy": "he"}

NOUNS = ("bird", "cat", "dog", "frog", "goat", "hen")  # a plural is the noun with an s
PLURALS = {noun: noun + "s" for noun in NOUNS}

# Singular and plural of each verb. The first is a link to an adjective, the others take an object.
VERBS = {"is": "are", "hears": "hear", "likes": "like", "sees": "see"}

PREPOSITIONS = ("behind", "near")
COLOURS = ("blue", "green", "red", "white")
THINGS = ("ball", "boat", "cup", "hat", "kite")

_PAIRS = (("big", "small"), ("cold", "warm"), ("old", "young"), ("slow", "fast"))
OPPOSITE = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}

_OTHERS = ("a", "boy", "girl", "has", "he", "it", "not", "she", "still", "that", "the", "they")
WORDS = frozenset(
    word
    for words in (
        *(HEROES, NOUNS, PLURALS.values(), VERBS, VERBS.values(), PREPOSITIONS),
        *(COLOURS, THINGS, OPPOSITE, _OTHERS),
    )
    for word in words
)

# Every character of every story, sorted: the vocabulary does not depend on the seed.
ALPHABET = "".join(sorted({"\n", " ", ".", *"".join(WORDS)}))
