"""What must hold of lesson 1: two tokenizers, what the second is made of, and the embeddings."""

import numpy as np

from ..cases.check import ComponentCheck, Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    parameters_are,
    raises,
    returns,
    same_device,
)
from ..judges.plain import asks, function_case, leaves_alone, reads, returns_value, script_case
from ..oracles import tokens as oracles

LESSON = "01_tokens_and_embeddings"

char_tokenizer = ComponentCheck("CharTokenizer", "tokens", LESSON)
merge_pair = ComponentCheck("merge_pair", "tokens", LESSON)
train_bpe = ComponentCheck("train_bpe", "tokens", LESSON)
bpe_tokenizer = ComponentCheck("BPETokenizer", "tokens", LESSON)
embeddings = ComponentCheck("Embeddings", "tokens", LESSON)

# Characters of one to four bytes, and all that a careless hand strips, folds, joins or translates.
SPOKEN = "to be or not to be, that is the question"
WORLD = (
    "naïve café, Straße und İstanbul",
    "cafe\u0301 is not café, and ﬁ is not fi",
    "日本語 и русский, עברית",
    "👩‍👩‍👧 🇫🇷 👍🏽 emoji are made of several",
    " \t spaces\r\nand\n\nlines\u2028 \u00a0",
    "\ufeffmark, \x00 zero, \ufffd, \uffff and \U0010ffff",
)
STRANGERS = "€жΩ漢🙂"  # in none of the texts
ACQUAINTANCES = "éßï"  # in texts of other tokenizers


def _pick(draw: Draw, items, count: int) -> list:
    return [items[int(n)] for n in draw.integers(0, len(items) - 1, count)]


# --- CharTokenizer ---


def _chars(text: str):
    characters = sorted(set(text))
    return characters, {character: n for n, character in enumerate(characters)}


def _spelt(draw: Draw, text: str, count: int = 9):
    """Some of the characters of `text`, in any order, and their ids."""
    characters, ids = _chars(text)
    word = "".join(_pick(draw, characters, count))
    return word, [ids[character] for character in word]


@char_tokenizer.core(
    "an id is the place of a character among all characters of text, sorted",
    hint="sorted(set(text)) is the vocabulary; its first character has the id 0",
)
def char_tokenizer_encodes(draw: Draw):
    yield script_case(
        char_tokenizer, ("hello",), asks("encode", "hole", judge=returns_value([1, 3, 2, 0]))
    )
    for text in (SPOKEN, "bookkeeper", "BaNaNa 10", *WORLD):
        word, ids = _spelt(draw, text)
        yield script_case(char_tokenizer, (text,), asks("encode", word, judge=returns_value(ids)))


@char_tokenizer.core(
    "vocab_size counts the different characters",
    hint="self.vocab_size = … in __init__: a number, not a method",
)
def char_tokenizer_counts(draw: Draw):
    for text in ("hello", SPOKEN, "zz", *WORLD[:2]):
        size = len(_chars(text)[0])
        yield script_case(char_tokenizer, (text,), reads("vocab_size", returns_value(size)))


@char_tokenizer.core(
    "decode gives the text back as one string",
    hint='"".join(…) makes one string of many characters',
)
def char_tokenizer_decodes(draw: Draw):
    yield script_case(
        char_tokenizer, ("hello",), asks("decode", [1, 3, 2, 0], judge=returns_value("hole"))
    )
    for text in (SPOKEN, "BaNaNa 10", *WORLD):
        word, ids = _spelt(draw, text)
        yield script_case(char_tokenizer, (text,), asks("decode", ids, judge=returns_value(word)))


@char_tokenizer.edge(
    "nothing in, nothing out: the empty text is a text", hint="a loop over nothing gives nothing"
)
def char_tokenizer_empty(draw: Draw):
    yield script_case(char_tokenizer, ("hello",), asks("encode", "", judge=returns_value([])))
    yield script_case(char_tokenizer, ("hello",), asks("decode", [], judge=returns_value("")))
    yield script_case(char_tokenizer, ("",), reads("vocab_size", returns_value(0)))


@char_tokenizer.edge(
    "an unknown character: ValueError naming text and the character",
    hint="look before you look up: a dictionary raises a KeyError",
)
def char_tokenizer_refuses_characters(draw: Draw):
    for stranger in (*_pick(draw, STRANGERS, 1), *_pick(draw, ACQUAINTANCES, 1)):
        word = f"he{stranger}lo"
        refused = raises("ValueError", "text", stranger)
        yield script_case(char_tokenizer, ("hello",), asks("encode", word, judge=refused))
        yield script_case(
            char_tokenizer,
            ("hello",),
            asks("encode", word, judge=refused),
            reads("vocab_size", returns_value(4)),
            asks("encode", "hell", judge=returns_value([1, 0, 2, 2])),
        )


@char_tokenizer.edge(
    "an unknown id, negative ones included: ValueError naming ids and the id",
    hint="characters[-1] is the last character: Python counts from the end, a tokenizer does not",
)
def char_tokenizer_refuses_ids(draw: Draw):
    far = int(draw.integers(1000, 9999))
    for stranger in (11, far, -1, -far):
        refused = raises("ValueError", "ids", str(stranger))
        yield script_case(
            char_tokenizer, ("hello world",), asks("decode", [1, stranger, 2], judge=refused)
        )
    size = len(_chars(SPOKEN)[0])
    refused = raises("ValueError", "ids", str(size))
    yield script_case(char_tokenizer, (SPOKEN,), asks("decode", [0, size], judge=refused))


@char_tokenizer.edge("ids are not changed", hint="pop() takes from the caller's list")
def char_tokenizer_leaves_ids(draw: Draw):
    _, ids = _spelt(draw, SPOKEN)
    step = asks("decode", ids, judge=leaves_alone("ids"))
    yield script_case(char_tokenizer, (SPOKEN,), step)


# --- merge_pair ---


def _merges(ids, pair, new_id, judge=None):
    judge = judge or returns_value(oracles.merge_pair(ids, pair, new_id))
    return function_case(merge_pair, ids, pair, new_id).expect(judge)


def _few_ids(draw: Draw, count: int, n_different: int, start: int = 0) -> list[int]:
    return [start + int(n) for n in draw.integers(0, n_different - 1, count)]


@merge_pair.core(
    "new_id stands for every pair of neighbours, in this order, and the rest stays",
    hint="walk along with an index; after a match go on two places further, else one",
)
def merge_pair_values(draw: Draw):
    yield _merges([1, 2, 3, 1, 2], (1, 2), 9)
    yield _merges([2, 1, 3, 2, 1, 2], (1, 2), 9)
    yield _merges([3, 1, 2, 2, 1, 1], (1, 2), 9)
    for _ in range(3):
        yield _merges(_few_ids(draw, 15, 3), (0, 1), 7)


@merge_pair.core(
    "from left to right, and no id is merged twice",
    hint="in 1, 1, 1 the first two are the pair; the third one is left over",
)
def merge_pair_runs(draw: Draw):
    for count in (2, 3, 4, 7):
        yield _merges([1] * count, (1, 1), 9)
    yield _merges([1, 1, 1, 2, 1, 1], (1, 1), 9)
    for _ in range(2):
        yield _merges(_few_ids(draw, 17, 2), (1, 1), 5)


@merge_pair.edge(
    "nothing to merge: an empty list, a single id, no pair, or half a pair at the end",
    hint="the last id has no neighbour on its right",
)
def merge_pair_small(draw: Draw):
    for ids in ([], [1], [2, 1], [3, 3, 3], [2, 3, 1]):
        yield _merges(ids, (1, 2), 9)


@merge_pair.edge(
    "ids are numbers of any size, compared as numbers",
    hint="== compares numbers; `is` compares objects, and text finds 1 within 11",
)
def merge_pair_numbers(draw: Draw):
    yield _merges([11, 2, 1, 22, 1, 2, 12], (1, 2), 300)
    big = int(draw.integers(1000, 40_000))
    yield _merges([big, big + 1, 5, big, big + 1, big], (big, big + 1), big + 2)
    yield _merges([0, 0, 5, 0], (0, 0), 256)


@merge_pair.edge("the list that was given is not changed", hint="build a new list")
def merge_pair_leaves_ids(draw: Draw):
    judge = leaves_alone("ids", "pair", "new_id")
    yield _merges([1, 2, 3, 1, 2], (1, 2), 9, judge)
    yield _merges(_few_ids(draw, 15, 2), (0, 1), 7, judge)


# --- train_bpe ---


def _trains(ids, n_merges, *first, judge=None):
    judge = judge or returns_value(oracles.train_bpe(ids, n_merges, *first))
    return function_case(train_bpe, ids, n_merges, *first).expect(judge)


@train_bpe.core(
    "the most frequent pair of neighbours is merged first",
    hint="Counter(pairwise(ids)) counts all pairs of neighbours",
)
def train_bpe_first(draw: Draw):
    yield _trains([1, 2, 3, 1, 2, 4, 1, 2], 1)
    yield _trains(list(b"she sells sea shells"), 1)
    often, other, rest = (int(n) for n in draw.order(9)[:3])
    yield _trains([often, other, rest, often, other, often, often, other], 1)


@train_bpe.core(
    "of several most frequent pairs the smallest is merged",
    hint="min(…, key=lambda pair: (-counts[pair], pair)) prefers many, then small",
)
def train_bpe_ties(draw: Draw):
    yield _trains([5, 6, 1, 2, 5, 6, 1, 2], 1)
    yield _trains([1, 9, 1, 9, 1, 2, 1, 2], 2)
    order = [10 * int(n) for n in draw.order(5)]
    yield _trains([one for n in order for one in (n, n + 3)] * 2, 4)


@train_bpe.core(
    "a pair is counted at every position, overlaps included",
    hint="aaa holds the pair (a, a) twice, although only one can be merged",
)
def train_bpe_overlaps(draw: Draw):
    yield _trains([1, 1, 1, 2, 3, 2, 3], 1)
    yield _trains([4, 5, 9, 4, 5, 8, 7, 7, 7, 7], 2)
    yield _trains([1, 1, 1, 1, 1, 1, 2, 3, 1, 2, 3], 4)


@train_bpe.core(
    "the pairs are counted anew after each merge, in the merged list",
    hint="count, choose, merge, and count again: new ids make new pairs",
)
def train_bpe_rounds(draw: Draw):
    yield _trains(list(b"aaabdaaabac"), 3)
    yield _trains(list(b"low lower lowest"), 4)
    for n_different in (2, 3, 4):
        yield _trains(_few_ids(draw, 50, n_different, start=1), 5)


@train_bpe.core(
    "the first merge makes the id first_new_id, the next one the id after it",
    hint="first_new_id + len(merges)",
)
def train_bpe_new_ids(draw: Draw):
    yield _trains([0, 1] * 8, 3, 2)
    yield _trains([0, 1, 2] * 5, 4, 300)
    yield _trains(_few_ids(draw, 30, 3), 6, 3)
    yield _trains([1, 0] * 8, 3)


@train_bpe.edge(
    "it stops early when no pair occurs twice, and makes no merge when none is asked for",
    hint="a pair that occurs once is not worth an id; min() of nothing is an error",
)
def train_bpe_stops(draw: Draw):
    yield _trains([1, 2, 3, 4, 5], 3)
    yield _trains([1, 2, 3, 1, 2], 20)
    yield _trains([1, 1, 1], 5)
    yield _trains([1, 2] * 4, 20)
    for ids in ([], [7], [1, 2, 1, 2]):
        yield _trains(ids, 0)
    yield _trains([], 3)
    yield _trains([7], 3)


@train_bpe.edge(
    "an id that is first_new_id or larger: ValueError naming ids and the id",
    hint="such an id would be taken for a merged pair",
)
def train_bpe_refuses(draw: Draw):
    ids = _few_ids(draw, 6, 3)
    large = int(draw.integers(1000, 9999))
    for stranger, first in ((256, ()), (large, ()), (77, (77,)), (large, (300,))):
        refused = raises("ValueError", "ids", str(stranger))
        yield _trains([*ids, stranger, *ids], 2, *first, judge=refused)
    yield _trains([255, 254] * 3, 1)
    yield _trains([256, 299] * 3, 1, 300)


@train_bpe.edge("the list that was given is not changed", hint="ids = merge_pair(ids, …) is safe")
def train_bpe_leaves_ids(draw: Draw):
    judge = leaves_alone("ids", "n_merges")
    yield _trains([1, 2, 3, 1, 2, 4, 1, 2], 2, judge=judge)


# --- BPETokenizer ---


def _speaks(merges, *steps, first=()):
    return script_case(bpe_tokenizer, (merges, *first), *steps)


def _learned(text: str, n_merges: int, *first) -> list[tuple[int, int]]:
    return oracles.train_bpe(list(text.encode("utf-8")), n_merges, *first)


def _both_ways(text: str, merges, *first):
    ids = oracles.encode(text, merges, *first)
    yield _speaks(merges, asks("encode", text, judge=returns_value(ids)), first=first)
    yield _speaks(merges, asks("decode", ids, judge=returns_value(text)), first=first)


@bpe_tokenizer.core(
    "encode: the UTF-8 bytes, with the merges applied in the order learned",
    hint='list(text.encode("utf-8")), then merge_pair once for each merge',
)
def bpe_tokenizer_encodes(draw: Draw):
    a, b, c = b"abc"
    for merges in ([], [(a, b)], [(a, b), (b, c)], [(b, c), (a, b)], [(a, b), (256, c), (257, a)]):
        ids = oracles.encode("abcabca", merges)
        yield _speaks(merges, asks("encode", "abcabca", judge=returns_value(ids)))
    merges = _learned(SPOKEN, 8)
    for text in (SPOKEN, "not quite the question", " ".join(_pick(draw, SPOKEN.split(), 5))):
        ids = oracles.encode(text, merges)
        yield _speaks(merges, asks("encode", text, judge=returns_value(ids)))


@bpe_tokenizer.core(
    "decode: the bytes of all ids in a row, read as UTF-8",
    hint="join the bytes first and decode once: a character may be spread over several ids",
)
def bpe_tokenizer_decodes(draw: Draw):
    merges = [(97, 98), (256, 99), (257, 97)]
    yield _speaks(merges, asks("decode", [258, 256, 257, 97], judge=returns_value("abcaababca")))
    yield _speaks([], asks("decode", list("é".encode()), judge=returns_value("é")))
    merges = _learned(SPOKEN, 8)
    ids = oracles.encode(SPOKEN, merges)
    yield _speaks(merges, asks("decode", ids, judge=returns_value(SPOKEN)))


@bpe_tokenizer.core(
    "vocab_size is first_new_id + len(merges)",
    hint="bytes and merges both count, and so do the ids that first_new_id leaves out",
)
def bpe_tokenizer_counts(draw: Draw):
    for first in ((), (300,)):
        merges = _learned(SPOKEN, 5, *first)
        size = reads("vocab_size", returns_value(sum(first or (256,)) + 5))
        yield _speaks(merges, size, first=first)
    yield _speaks([], reads("vocab_size", returns_value(256)))


@bpe_tokenizer.core(
    "what was encoded is decoded to the same text, whatever its language",
    hint="bytes, not characters: chr and ord know nothing of UTF-8",
)
def bpe_tokenizer_round_trip(draw: Draw):
    for text in WORLD:
        yield from _both_ways(text, [])
        yield from _both_ways(text, _learned(text * 2, 6))
    yield from _both_ways("".join(_pick(draw, "".join(WORLD), 12)), _learned(WORLD[2] * 2, 5))
    yield from _both_ways(" zero \x00\x00", [])


@bpe_tokenizer.core(
    "the merge at place n makes the id first_new_id + n",
    hint="enumerate(merges, start=first_new_id)",
)
def bpe_tokenizer_first_new_id(draw: Draw):
    first = int(draw.integers(257, 400))
    yield from _both_ways("abcabca", [(97, 98), (first, 99)], first)
    merges = _learned(SPOKEN, 6, first)
    yield from _both_ways(SPOKEN, merges, first)


@bpe_tokenizer.edge("nothing in, nothing out", hint="a loop over nothing gives nothing")
def bpe_tokenizer_empty(draw: Draw):
    for merges in ([], [(97, 98)]):
        yield from _both_ways("", merges)
        yield from _both_ways("a", merges)


@bpe_tokenizer.edge(
    "bytes that are no UTF-8 become U+FFFD",
    hint='.decode("utf-8", errors="replace"): a model may say any ids at all',
)
def bpe_tokenizer_replaces(draw: Draw):
    cut = list("€".encode())[:2]
    for ids, text in (
        ([255], "\ufffd"),
        ([97, *cut], "a\ufffd"),
        ([*cut, 98], "\ufffdb"),
        ([97, 256, 98], "a\ufffdb"),
        ([256, 172], "€"),
    ):
        yield _speaks([tuple(cut)], asks("decode", ids, judge=returns_value(text)))


@bpe_tokenizer.edge(
    "an unknown id: ValueError naming ids and the id",
    hint="ids from 256 up to first_new_id stand for nothing, and neither do negative ones",
)
def bpe_tokenizer_refuses_ids(draw: Draw):
    merges, far = [(97, 98), (256, 97)], int(draw.integers(1000, 9999))
    for stranger in (258, far, -1, -far):
        step = asks("decode", [97, stranger], judge=raises("ValueError", "ids", str(stranger)))
        yield _speaks(merges, step)
    for stranger in (256, 299, 301):
        step = asks("decode", [97, stranger], judge=raises("ValueError", "ids", str(stranger)))
        yield _speaks([(97, 98)], step, first=(300,))


@bpe_tokenizer.edge(
    "first_new_id below 256: ValueError naming first_new_id and its value",
    hint="such an id would be a byte and a merged pair at once",
)
def bpe_tokenizer_refuses_first(draw: Draw):
    for first in (255, 0, int(draw.integers(100, 200))):
        refused = raises("ValueError", "first_new_id", str(first))
        yield _speaks([(97, 98)], first=(first,)).expect(refused)


@bpe_tokenizer.edge(
    "merges and ids are not changed, and one text leaves nothing behind for the next",
    hint="list(merges) is a copy of your own",
)
def bpe_tokenizer_leaves_arguments(draw: Draw):
    merges = _learned(SPOKEN, 4)
    ids = oracles.encode("to be", merges)
    used = _speaks(
        merges,
        asks("encode", "to be", judge=returns_value(ids)),
        asks("decode", ids, judge=leaves_alone("ids")),
        asks("encode", "to be", judge=returns_value(ids)),
    )
    yield used.expect(also(used.judge, leaves_alone("merges")))


# --- Embeddings ---


def _tables(draw: Draw, vocab_size, context_length, d_model, dtype="float64") -> dict:
    return {
        "token.weight": exact_in(draw.normal(vocab_size, d_model), dtype),
        "position.weight": exact_in(draw.normal(context_length, d_model), dtype),
    }


def _embeds(
    draw: Draw, shape=None, offset=None, *, dtype="float64", sizes=None, judge=None, **options
):
    """A module over drawn tables and ids; by default a batch of texts as long as the context."""
    vocab_size, context_length, d_model, n_texts = sizes or draw.sizes(4)
    weights = _tables(draw, vocab_size, context_length, d_model, dtype)
    ids = draw.integers(0, vocab_size - 1, shape or (n_texts, context_length))
    where = {} if offset is None else {"offset": offset}
    shapes = parameters_are({name: array.shape for name, array in weights.items()})
    judge = judge or returns(oracles.embeddings(ids, weights, offset or 0), dtype=dtype)
    case = embeddings.build(
        vocab_size, context_length, d_model, x=ids, weights=weights, dtype=dtype, **where, **options
    )
    return case.expect(also(shapes, judge))


@embeddings.core(
    "the parameters are token (vocab_size, C) and position (context_length, C): nn.Embedding",
    hint="self.token = nn.Embedding(vocab_size, d_model), and self.position likewise",
)
def embeddings_parameters(draw: Draw):
    yield _embeds(draw, judge=lambda seen: None)


@embeddings.core(
    "each token's vector plus the vector of its position, counted from 0",
    hint="positions 0, 1, … T-1 give T vectors, which broadcast over the texts",
)
def embeddings_values(draw: Draw):
    size, other = draw.sizes(2)
    yield _embeds(draw)
    yield _embeds(draw, (4, 2))
    yield _embeds(draw, (1, 3))
    yield _embeds(draw, (5, 1))
    yield _embeds(draw, (size, size), sizes=(size, size, size, size))
    yield _embeds(draw, (size, size), sizes=(other, size, 6, size))
    yield _embeds(draw, (2, 3), training=True)
    yield _embeds(draw, dtype="float32")


@embeddings.core(
    "with an offset the first token stands at position `offset`",
    hint="torch.arange(offset, offset + T, device=ids.device)",
)
def embeddings_offset(draw: Draw):
    sizes = (7, 9, 5, 3)
    for shape, offset in (((3, 4), 2), ((3, 4), 5), ((2, 1), 8), ((4, 9), 0), ((6, 6), 3)):
        yield _embeds(draw, shape, offset, sizes=sizes)
    earlier = draw.integers(0, 6, (2, 4))
    for offset in (None, 1):
        yield _embeds(draw, (2, 4), offset, sizes=sizes, warm_up=[earlier])


@embeddings.core(
    "gradients reach the rows that were used, and add up where one was used twice",
    hint="nn.Embedding does this; detach() and .data cut the way back",
)
def embeddings_gradients(draw: Draw):
    ids = np.array([[1, 4, 1], [0, 4, 4]])
    for offset in (0, 3):
        weights = _tables(draw, 7, 9, 5)
        cotangent = draw.normal(2, 3, 5)
        expected = oracles.embeddings_gradients(ids, weights, cotangent, offset)
        yield embeddings.build(
            7, 9, 5, x=ids, weights=weights, offset=offset, cotangents=[cotangent]
        ).expect(gradients_are(expected, "float64", {}))


@embeddings.edge(
    "past context_length: ValueError naming context_length and its value",
    hint="the last position is offset + T - 1, and context_length is one too many",
)
def embeddings_refuses(draw: Draw):
    sizes = (7, 9, 5, 3)
    refused = raises("ValueError", "context_length", "9")
    for shape, offset in (((2, 10), None), ((2, 4), 6), ((2, 1), 9), ((1, 23), 4)):
        yield _embeds(draw, shape, offset, sizes=sizes, judge=refused)


@embeddings.edge(
    "half precision tables give half precision vectors", hint="make no float tensor inside forward"
)
def embeddings_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield _embeds(draw, dtype=dtype)


@embeddings.edge(
    "ids are not changed, and every tensor is made on their device", hint="device=ids.device"
)
def embeddings_leaves_ids(draw: Draw):
    yield _embeds(draw, judge=arguments_unchanged(["ids"]))
    for offset in (None, 2):
        yield _embeds(
            draw, (3, 4), offset, sizes=(7, 9, 5, 3), judge=same_device, watch_devices=True
        )
