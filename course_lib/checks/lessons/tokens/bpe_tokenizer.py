"""What must hold of `BPETokenizer`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.plain import asks, reads, script_case
from ...judges.expect import also, raises
from ...judges.plain import leaves_alone, returns_value
from ...oracles import tokens as oracles
from .fixtures import ENGLISH, LESSON, MANY_SCRIPTS, pick

bpe_tokenizer = ComponentCheck("BPETokenizer", "tokens", LESSON, dtype="plain")


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
    merges = [(a, b), (b, c), (a, 257)]  # two ways to abc, of which the merges go one
    ids = oracles.encode("abc", merges)
    yield _speaks(merges, asks("encode", "abc", judge=returns_value(ids)))
    merges = _learned(ENGLISH, 8)
    for text in (ENGLISH, "not quite the question", " ".join(pick(draw, ENGLISH.split(), 5))):
        ids = oracles.encode(text, merges)
        yield _speaks(merges, asks("encode", text, judge=returns_value(ids)))


@bpe_tokenizer.core(
    "decode: the bytes of all ids in a row, read as UTF-8",
    hint="join the bytes first and decode once: a character may be spread over several ids",
    fits=("raised",),
)
def bpe_tokenizer_decodes(draw: Draw):
    merges = [(97, 98), (256, 99), (257, 97)]
    yield _speaks(merges, asks("decode", [258, 256, 257, 97], judge=returns_value("abcaababca")))
    yield _speaks([], asks("decode", list("é".encode()), judge=returns_value("é")))
    merges = _learned(ENGLISH, 8)
    ids = oracles.encode(ENGLISH, merges)
    yield _speaks(merges, asks("decode", ids, judge=returns_value(ENGLISH)))


@bpe_tokenizer.core(
    "vocab_size is first_new_id + len(merges)",
    hint="bytes and merges both count, and so do the ids that first_new_id leaves out",
)
def bpe_tokenizer_counts(draw: Draw):
    for first in ((), (300,)):
        merges = _learned(ENGLISH, 5, *first)
        size = reads("vocab_size", returns_value(sum(first or (256,)) + 5))
        yield _speaks(merges, size, first=first)
    yield _speaks([], reads("vocab_size", returns_value(256)))


@bpe_tokenizer.core(
    "what was encoded is decoded to the same text, whatever its language",
    hint="bytes, not characters, and all of them: nothing is stripped, folded or replaced",
    fits=("raised",),
)
def bpe_tokenizer_round_trip(draw: Draw):
    for text in MANY_SCRIPTS:
        yield from _both_ways(text, [])
        yield from _both_ways(text, _learned(text * 2, 6))
    yield from _both_ways(
        "".join(pick(draw, "".join(MANY_SCRIPTS), 12)), _learned(MANY_SCRIPTS[2] * 2, 5)
    )
    yield from _both_ways(" zero \x00\x00", [])


@bpe_tokenizer.core(
    "the merge at place n makes the id first_new_id + n",
    hint="enumerate(merges, start=first_new_id)",
)
def bpe_tokenizer_first_new_id(draw: Draw):
    first = int(draw.integers(257, 400))
    yield from _both_ways("abcabca", [(97, 98), (first, 99)], first)
    merges = _learned(ENGLISH, 6, first)
    yield from _both_ways(ENGLISH, merges, first)


@bpe_tokenizer.edge(
    "nothing in, nothing out", hint="a loop over nothing gives nothing", fits=("raised",)
)
def bpe_tokenizer_empty(draw: Draw):
    for merges in ([], [(97, 98)]):
        yield from _both_ways("", merges)
        yield from _both_ways("a", merges)


@bpe_tokenizer.edge(
    "bytes that are no UTF-8 become U+FFFD",
    hint='.decode("utf-8", errors="replace"): a model may say any ids at all',
    fits=("raised",),
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
    "an unknown id: ValueError",
    hint="ids from 256 up to first_new_id stand for nothing, and neither do negative ones",
)
def bpe_tokenizer_refuses_ids(draw: Draw):
    merges, far = [(97, 98), (256, 97)], int(draw.integers(1000, 9999))
    for unknown in (258, far, -1, -far):
        step = asks("decode", [97, unknown], judge=raises("ValueError", "ids", str(unknown)))
        yield _speaks(merges, step)
    for unknown in (256, 299, 301):
        step = asks("decode", [97, unknown], judge=raises("ValueError", "ids", str(unknown)))
        yield _speaks([(97, 98)], step, first=(300,))


@bpe_tokenizer.edge(
    "first_new_id below 256: ValueError",
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
    merges = _learned(ENGLISH, 4)
    ids = oracles.encode("to be", merges)
    used = _speaks(
        merges,
        asks("encode", "to be", judge=returns_value(ids)),
        asks("decode", ids, judge=leaves_alone("ids")),
        asks("encode", "to be", judge=returns_value(ids)),
    )
    yield used.expect(also(used.judge, leaves_alone("merges")))


@bpe_tokenizer.asked(
    "real sizes",
    "a text of thousands of bytes, with dozens of merges, there and back",
    hint="bytes and ids in lists; join the bytes once, at the end",
)
def bpe_tokenizer_of_real_size(draw: Draw):
    text = " ".join(pick(draw, ENGLISH.split(), 600))
    yield from _both_ways(text, _learned(text[:1500], 40))
