"""What must hold of `train_bpe`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.plain import function_case
from ...judges.expect import raises
from ...judges.plain import leaves_alone, returns_value
from ...oracles import tokens as oracles
from .fixtures import LESSON, few_ids

train_bpe = ComponentCheck("train_bpe", "tokens", LESSON, dtype="plain")


def _trains(ids, n_merges, *first, judge=None):
    judge = judge or returns_value(oracles.train_bpe(ids, n_merges, *first))
    return function_case(train_bpe, ids, n_merges, *first).expect(judge)


@train_bpe.core(
    "the most frequent pair of neighbours is merged first",
    hint="Counter(pairwise(ids)) counts all pairs of neighbours; n_merges=1 learns one pair",
)
def train_bpe_first(draw: Draw):
    yield _trains([1, 2, 3, 1, 2, 4, 1, 2], 1)
    yield _trains(list(b"she sells sea shells"), 1)
    often, other, rest = (int(n) for n in draw.order(9)[:3])
    yield _trains([often, other, rest, often, other, often, often, other], 1)


@train_bpe.core(
    "of several most frequent pairs the smallest is merged, and twice is often enough",
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


@train_bpe.core(
    "the pairs are counted anew after each merge, in the merged list",
    hint="count, choose, merge, and count again: new ids make new pairs",
)
def train_bpe_rounds(draw: Draw):
    yield _trains(list(b"aaabdaaabac"), 3)
    yield _trains(list(b"low lower lowest"), 4)
    yield _trains([1, 1, 1, 1, 1, 1, 2, 3, 1, 2, 3], 3)
    for n_different in (2, 3, 4):
        yield _trains(few_ids(draw, 50, n_different, start=1), 5)


@train_bpe.core(
    "the first merge makes the id first_new_id, the next one the id after it",
    hint="first_new_id + len(merges)",
)
def train_bpe_new_ids(draw: Draw):
    yield _trains([0, 1] * 8, 3, 2)
    yield _trains([0, 1, 2] * 5, 4, 300)
    yield _trains(few_ids(draw, 30, 3), 6, 3)
    yield _trains([1, 0] * 8, 3)


@train_bpe.edge(
    "it stops early when no pair occurs twice, and makes no merge when none is asked for",
    hint="a pair that occurs once is not worth an id; min() of nothing is an error",
    fits=("raised",),
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
    "ids are numbers of any size, and no two pairs are one",
    hint="keep a pair as a tuple: of left * 256 + right, or left << 16 | right, two make the same",
)
def train_bpe_of_large_ids(draw: Draw):
    yield _trains([65, 128_512, 65, 128_512], 1, 0x110000)
    yield _trains([1, 0, 7, 1, 0, 7, 0, 256, 8, 1, 0], 1, 300)  # 1·256 + 0 is 0·256 + 256
    yield _trains([0, 256, 8, 0, 256, 9, 0, 256, 1, 0, 7, 1, 0], 1, 300)
    yield _trains([0, 65_536, 3, 0, 65_536, 4, 1, 0, 5], 2, 70_000)
    yield _trains([65_535, 1, 65_537, 65_535, 1, 1, 65_537, 1], 3, 99_999)
    yield _trains([70_001, 70_000, 5, 70_001, 70_000, 5, 70_000, 70_001], 3, 200_000)
    yield _trains([3, 256, 1, 3, 256, 1, 1, 3, 0, 1, 3, 0], 6, 257)  # new ids go on from 256
    high = [100_000 + one for one in few_ids(draw, 40, 3)]
    yield _trains([*high, *few_ids(draw, 40, 3)], 6, 1_000_000)


@train_bpe.edge(
    "an id that is first_new_id or larger: ValueError",
    hint="such an id would be taken for a merged pair",
)
def train_bpe_refuses(draw: Draw):
    ids = few_ids(draw, 6, 3)
    large = int(draw.integers(1000, 9999))
    for unknown, first in ((256, ()), (large, ()), (77, (77,)), (large, (300,))):
        refused = raises("ValueError", "ids", str(unknown))
        yield _trains([*ids, unknown, *ids], 2, *first, judge=refused)
    yield _trains([255, 254] * 3, 1)
    yield _trains([256, 299] * 3, 1, 300)


@train_bpe.edge(
    "the list that was given is not changed",
    hint="ids = merge_pair(ids, …) is safe",
    fits=("changed",),
)
def train_bpe_leaves_ids(draw: Draw):
    judge = leaves_alone("ids", "n_merges")
    yield _trains([1, 2, 3, 1, 2, 4, 1, 2], 2, judge=judge)


@train_bpe.asked(
    "real sizes",
    "thousands of ids, and dozens of merges",
    hint="Counter(pairwise(ids)) goes through the ids once a merge",
)
def train_bpe_of_real_size(draw: Draw):
    yield _trains(few_ids(draw, 2000, 9), 12)
