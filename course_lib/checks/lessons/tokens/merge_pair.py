"""What must hold of `merge_pair`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.plain import function_case
from ...judges.plain import leaves_alone, returns_value
from ...oracles import tokens as oracles
from .fixtures import LESSON, few_ids

merge_pair = ComponentCheck("merge_pair", "tokens", LESSON, dtype="plain")


def _merges(ids, pair, new_id, judge=None):
    judge = judge or returns_value(oracles.merge_pair(ids, pair, new_id))
    return function_case(merge_pair, ids, pair, new_id).expect(judge)


@merge_pair.core(
    "new_id stands for every pair of neighbours, in this order, and the rest stays",
    hint="walk along with an index; after a match go on two places further, else one",
)
def merge_pair_values(draw: Draw):
    yield _merges([1, 2, 3, 1, 2], (1, 2), 9)
    yield _merges([2, 1, 3, 2, 1, 2], (1, 2), 9)
    yield _merges([3, 1, 2, 2, 1, 1], (1, 2), 9)
    for _ in range(3):
        yield _merges(few_ids(draw, 15, 3), (0, 1), 7)


@merge_pair.core(
    "from left to right, and no id is merged twice",
    hint="in 1, 1, 1 the first two are the pair; the third one is left over",
)
def merge_pair_runs(draw: Draw):
    for count in (2, 3, 4, 7):
        yield _merges([1] * count, (1, 1), 9)
    yield _merges([1, 1, 1, 2, 1, 1], (1, 1), 9)
    for _ in range(2):
        yield _merges(few_ids(draw, 17, 2), (1, 1), 5)


@merge_pair.edge(
    "nothing to merge: an empty list, a single id, no pair, or half a pair at the end",
    hint="the last id has no neighbour on its right",
    fits=("raised",),
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


@merge_pair.edge(
    "the list that was given is not changed", hint="build a new list", fits=("changed",)
)
def merge_pair_leaves_ids(draw: Draw):
    judge = leaves_alone("ids", "pair", "new_id")
    yield _merges([1, 2, 3, 1, 2], (1, 2), 9, judge)
    yield _merges(few_ids(draw, 15, 2), (0, 1), 7, judge)


@merge_pair.asked(
    "real sizes", "thousands of ids, merged in one go", hint="a loop, not a function calling itself"
)
def merge_pair_of_real_size(draw: Draw):
    yield _merges(few_ids(draw, 5000, 3), (0, 1), 50_256)


@merge_pair.nothing_to_do
def merge_pair_that_is_not_there(draw: Draw):
    for ids in ([], [1], [2, 1, 3]):
        yield function_case(merge_pair, ids, (1, 2), 9)
