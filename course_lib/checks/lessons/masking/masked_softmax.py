"""What must hold of `masked_softmax`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import also, arguments_unchanged, gradients_are, returns, same_device
from ...oracles import masking as oracles
from ..attention.fixtures import rows_sum_to_one
from .fixtures import LESSON, MASKED_CALL, zero_where_masked

masked_softmax = ComponentCheck("masked_softmax", "masking", LESSON)


def _softmax_case(scores, mask, dtype="float64", *, judge=None, **options):
    expected = oracles.masked_softmax(scores, mask)
    judge = judge or also(
        returns(expected, dtype=dtype), zero_where_masked(mask, 0), _row_sums(mask, dtype, 0)
    )
    case = masked_softmax.call(scores, mask, dtype=dtype, names=MASKED_CALL, **options)
    return case.expect(judge)


def _row_sums(mask, dtype: str, part: int):
    some = mask.any(axis=-1)
    if some.all():
        return rows_sum_to_one(dtype, part=part)
    return lambda seen: None  # empty rows sum to 0, which `returns` has compared


@masked_softmax.core(
    "softmax over the allowed keys: they sum to 1, and masked weights are 0",
    hint="True may attend; the others (~mask) lose before the softmax, which is over the keys",
)
def masked_softmax_values(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores = 2 * draw.normal(n_queries, n_keys)
    yield _softmax_case(scores, draw.mask(n_queries, n_keys))
    yield _softmax_case(scores, np.ones((n_queries, n_keys), dtype=bool))
    yield _softmax_case(draw.normal(n_keys, n_keys), draw.mask(n_keys, n_keys))
    yield _softmax_case(scores, draw.mask(n_queries, n_keys), "float32")


@masked_softmax.core(
    "the mask broadcasts to the shape of the scores",
    hint="~mask, masked_fill and where all broadcast; a view or a loop over rows does not",
    fits=("shape", "raised"),
)
def masked_softmax_broadcasts(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores = draw.normal(2, 4, n_queries, n_keys)
    for shape in ((n_queries, n_keys), (2, 1, n_queries, n_keys), (2, 1, 1, n_keys), (1, n_keys)):
        yield _softmax_case(scores, draw.mask(*shape))
    yield _softmax_case(draw.normal(3, 3, n_queries, n_keys), draw.mask(3, 1, n_queries, n_keys))


@masked_softmax.core(
    "a hostile future changes nothing, however large its scores",
    hint="-1e4 is not minus infinity: a score may be lower than that",
    fits=("not finite",),
)
def masked_softmax_hostile(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    for dtype in ("float64", "float32"):
        mask = draw.mask(n_queries, n_keys)
        scores = draw.normal(n_queries, n_keys, dtype=dtype)
        yield _softmax_case(exact_in(np.where(mask, scores, 6e4), dtype), mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, -6e4, 6e4), dtype), mask, dtype)
        for allowed in (draw.mask(6, 9), np.ones((6, 9), dtype=bool), np.ones(9, dtype=bool)):
            yield _softmax_case(_one_sided(draw, dtype), allowed, dtype)


def _one_sided(draw: Draw, dtype: str) -> np.ndarray:
    """Rows of scores far below 0, far above, and near it."""
    heights = np.array([-5e4, 5e4, 0.0, -2e4, 3e4, -6e4])[:, None]
    return exact_in(heights + draw.normal(6, 9), dtype)


@masked_softmax.core(
    "gradients reach the scores",
)
def masked_softmax_gradients(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    for lead in ((2,), (), (1,), (2, 3)):
        scores = draw.normal(*lead, n_queries, n_keys)
        mask = draw.mask(n_queries, n_keys)
        cotangent = draw.normal(*scores.shape)
        expected = oracles.masked_softmax_gradients(scores, mask, cotangent)
        judge = gradients_are(expected, "float64", {"argument 0": "scores"})
        yield _softmax_case(scores, mask, judge=judge, cotangents=[cotangent])


@masked_softmax.edge(
    "a row with nothing to attend to is all zeros, with a gradient of zeros",
    hint="0/0 is nan, and so is its gradient, even where a later line overwrites the value",
    fits=("not finite",),
)
def masked_softmax_empty_rows(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores, mask = draw.normal(n_queries, n_keys), draw.mask(n_queries, n_keys)
    mask[1] = False
    yield _softmax_case(scores, mask)
    yield _softmax_case(scores, mask, "float32")
    yield _softmax_case(scores, np.zeros_like(mask))
    cotangent = draw.normal(n_queries, n_keys)
    expected = oracles.masked_softmax_gradients(scores, mask, cotangent)
    judge = gradients_are(expected, "float64", {"argument 0": "scores"})
    yield _softmax_case(scores, mask, judge=judge, cotangents=[cotangent])


@masked_softmax.edge(
    "in float16 and bfloat16 too, for scores up to 6e4",
    hint="-1e9 is -inf in float16: torch.finfo(scores.dtype).min is what fits",
    fits=("not finite", "raised"),
)
def masked_softmax_half(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        mask = draw.mask(n_queries, n_keys)
        scores = draw.normal(n_queries, n_keys, dtype=dtype)
        yield _softmax_case(scores, mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, scores, 6e4), dtype), mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, -6e4, 6e4), dtype), mask, dtype)
        yield _softmax_case(_one_sided(draw, dtype), draw.mask(6, 9), dtype)
        empty = mask.copy()
        empty[0] = False
        yield _softmax_case(scores, empty, dtype)


@masked_softmax.edge(
    "scores and mask are not changed, and every tensor is made on their device",
    hint="masked_fill makes a new tensor; masked_fill_ writes into the old one",
    fits=("changed",),
)
def masked_softmax_leaves_inputs(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores, mask = draw.normal(n_queries, n_keys), draw.mask(n_queries, n_keys)
    yield _softmax_case(scores, mask, judge=arguments_unchanged(MASKED_CALL))
    yield _softmax_case(scores, mask, judge=same_device, watch_devices=True)


@masked_softmax.asked(
    "real sizes",
    "thousands of keys share a weight of 1, in half precision too",
    hint="let softmax add up: in bfloat16, a sum of your own stands still at 256",
)
def masked_softmax_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _softmax_case(draw.normal(3, 4099, dtype=dtype), draw.mask(3, 4099), dtype)


@masked_softmax.nothing_to_do
def masked_softmax_of_one_key(draw: Draw):
    for mask in (np.ones((3, 1), dtype=bool), np.zeros((3, 1), dtype=bool)):
        yield masked_softmax.call(draw.normal(3, 1), mask, names=MASKED_CALL)


@masked_softmax.asked(
    "real sizes",
    "a thousand rows, or keys, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def masked_softmax_of_many_rows(draw: Draw):
    for shape in ((1031, 3), (1025, 2), (2, 1031), (2, 1025), (1031, 2, 2)):
        yield _softmax_case(draw.normal(*shape), draw.mask(*shape))
