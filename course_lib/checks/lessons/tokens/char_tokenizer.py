"""What must hold of `CharTokenizer`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.plain import asks, reads, script_case
from ...judges.expect import raises
from ...judges.plain import leaves_alone, returns_value
from .fixtures import ENGLISH, KNOWN_ELSEWHERE, LESSON, MANY_SCRIPTS, UNKNOWN, pick

char_tokenizer = ComponentCheck("CharTokenizer", "tokens", LESSON, dtype="plain")


def _chars(text: str):
    characters = sorted(set(text))
    return characters, {character: n for n, character in enumerate(characters)}


def _spelt(draw: Draw, text: str, count: int = 9):
    """Some of the characters of `text`, in any order, and their ids."""
    characters, ids = _chars(text)
    word = "".join(pick(draw, characters, count))
    return word, [ids[character] for character in word]


@char_tokenizer.core(
    "an id is the place of a character among all characters of text, sorted",
    hint="sorted(set(text)) is the vocabulary; its first character has the id 0",
)
def char_tokenizer_encodes(draw: Draw):
    yield script_case(
        char_tokenizer, ("hello",), asks("encode", "hole", judge=returns_value([1, 3, 2, 0]))
    )
    for text in (ENGLISH, "bookkeeper", "BaNaNa 10", *MANY_SCRIPTS):
        word, ids = _spelt(draw, text)
        yield script_case(char_tokenizer, (text,), asks("encode", word, judge=returns_value(ids)))


@char_tokenizer.core(
    "vocab_size counts the different characters",
    hint="self.vocab_size = … in __init__: a number, not a method",
    fits=("type", "raised"),
)
def char_tokenizer_counts(draw: Draw):
    for text in ("hello", ENGLISH, "zz", *MANY_SCRIPTS[:2]):
        size = len(_chars(text)[0])
        yield script_case(char_tokenizer, (text,), reads("vocab_size", returns_value(size)))


@char_tokenizer.core(
    "decode gives the text back as one string",
    hint='"".join(…) makes one string of many characters',
    fits=("type",),
)
def char_tokenizer_decodes(draw: Draw):
    yield script_case(
        char_tokenizer, ("hello",), asks("decode", [1, 3, 2, 0], judge=returns_value("hole"))
    )
    for text in (ENGLISH, "BaNaNa 10", *MANY_SCRIPTS):
        word, ids = _spelt(draw, text)
        yield script_case(char_tokenizer, (text,), asks("decode", ids, judge=returns_value(word)))


@char_tokenizer.edge(
    "nothing in, nothing out: the empty text is a text",
    hint="a loop over nothing gives nothing",
    fits=("raised",),
)
def char_tokenizer_empty(draw: Draw):
    yield script_case(char_tokenizer, ("hello",), asks("encode", "", judge=returns_value([])))
    yield script_case(char_tokenizer, ("hello",), asks("decode", [], judge=returns_value("")))
    yield script_case(char_tokenizer, ("",), reads("vocab_size", returns_value(0)))


@char_tokenizer.edge(
    "an unknown character: ValueError",
    hint="look before you look up: a dictionary raises a KeyError",
)
def char_tokenizer_refuses_characters(draw: Draw):
    for unknown in (*pick(draw, UNKNOWN, 1), *pick(draw, KNOWN_ELSEWHERE, 1)):
        word = f"he{unknown}lo"
        refused = raises("ValueError", "text", unknown)
        yield script_case(char_tokenizer, ("hello",), asks("encode", word, judge=refused))
        yield script_case(
            char_tokenizer,
            ("hello",),
            asks("encode", word, judge=refused),
            reads("vocab_size", returns_value(4)),
            asks("encode", "hell", judge=returns_value([1, 0, 2, 2])),
        )


@char_tokenizer.edge(
    "an unknown id, negative ones included: ValueError",
    hint="characters[-1] is the last character: Python counts from the end, a tokenizer does not",
)
def char_tokenizer_refuses_ids(draw: Draw):
    far = int(draw.integers(1000, 9999))
    for unknown in (11, far, -1, -far):
        refused = raises("ValueError", "ids", str(unknown))
        yield script_case(
            char_tokenizer, ("hello world",), asks("decode", [1, unknown, 2], judge=refused)
        )
    size = len(_chars(ENGLISH)[0])
    refused = raises("ValueError", "ids", str(size))
    yield script_case(char_tokenizer, (ENGLISH,), asks("decode", [0, size], judge=refused))


@char_tokenizer.edge(
    "ids are not changed", hint="pop() takes from the caller's list", fits=("changed",)
)
def char_tokenizer_leaves_ids(draw: Draw):
    _, ids = _spelt(draw, ENGLISH)
    step = asks("decode", ids, judge=leaves_alone("ids"))
    yield script_case(char_tokenizer, (ENGLISH,), step)


@char_tokenizer.asked(
    "real sizes",
    "a text of thousands of characters comes through whole",
    hint="a dictionary finds an id at once; a search through all characters takes longer",
)
def char_tokenizer_of_real_size(draw: Draw):
    text = "".join(MANY_SCRIPTS)
    word, ids = _spelt(draw, text, 5000)
    yield script_case(char_tokenizer, (text * 20,), asks("encode", word, judge=returns_value(ids)))
    yield script_case(char_tokenizer, (text * 20,), asks("decode", ids, judge=returns_value(word)))
