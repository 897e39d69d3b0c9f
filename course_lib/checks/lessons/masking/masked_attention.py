"""What must hold of `masked_attention`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import also, arguments_unchanged, gradients_are, returns, same_device
from ...oracles import attention as oracles
from ..attention.fixtures import (
    LARGE,
    QKV,
    RESULT,
    SMALL,
    many_keys,
    many_rows,
    of_one_side,
    one_sided,
)
from .fixtures import ATTENTION_CALL, LESSON, lower, zero_where_masked

masked_attention = ComponentCheck("masked_attention", "masking", LESSON)


def _masked_qkv(draw: Draw, *lead: int, dtype="float64", scale=1.0):
    n_queries, n_keys, d_head, d_value = draw.sizes(4)
    q = exact_in(scale * draw.normal(*lead, n_queries, d_head), dtype)
    k = draw.normal(*lead, n_keys, d_head, dtype=dtype)
    return q, k, draw.normal(*lead, n_keys, d_value, dtype=dtype)


def _attention_case(q, k, v, mask, dtype="float64", *, judge=None, tolerance=None, **options):
    expected = oracles.attention(q, k, v, mask)
    judge = judge or also(
        returns(*expected, dtype=dtype, names=RESULT, tolerance=tolerance),
        (lambda seen: None) if mask is None else zero_where_masked(mask, 1),
    )
    return masked_attention.call(
        q, k, v, mask, dtype=dtype, names=ATTENTION_CALL, **options
    ).expect(judge)


@masked_attention.core(
    "without a mask it is attention, and so it is when the mask allows everything",
    hint="scores / sqrt(D), softmax, times v; mask=None allows all, and True means may attend",
    fits=("raised",),
)
def masked_attention_unmasked(draw: Draw):
    q, k, v = _masked_qkv(draw, 2)
    judge = returns(*oracles.attention(q, k, v), dtype="float64", names=RESULT)
    yield masked_attention.call(q, k, v, names=QKV).expect(judge)
    yield _attention_case(q, k, v, None)
    yield _attention_case(q, k, v, np.ones((q.shape[-2], k.shape[-2]), dtype=bool))
    n, *widths = draw.sizes(3)
    yield _attention_case(draw.normal(n, widths[0]), *(draw.normal(n, w) for w in widths), None)


@masked_attention.core(
    "query t reads key s only where mask[..., t, s] is True",
    hint="scores first, then the mask, then the softmax, then the values",
)
def masked_attention_values(draw: Draw):
    q, k, v = _masked_qkv(draw)
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    yield _attention_case(q, k, v, draw.mask(n_queries, n_keys))
    q, k, v = _masked_qkv(draw, 2, 4)
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    of_heads = (4, n_queries, n_keys)
    for shape in ((n_queries, n_keys), of_heads, (2, 1, n_queries, n_keys), (2, 1, 1, n_keys)):
        yield _attention_case(q, k, v, draw.mask(*shape))
    yield _attention_case(q[..., :1, :], k, v, draw.mask(1, n_keys))
    q, k, v = _masked_qkv(draw, 2)
    yield _attention_case(q, k, v, draw.mask(2, q.shape[-2], k.shape[-2]))
    as_many_heads_as_texts = _masked_qkv(draw, 3, 3)
    n_queries, n_keys = (a.shape[-2] for a in as_many_heads_as_texts[:2])
    for shape in ((3, 1, n_queries, n_keys), (3, n_queries, n_keys)):
        yield _attention_case(*as_many_heads_as_texts, draw.mask(*shape))
    n = draw.sizes(1)[0]
    square = [draw.normal(2, n, n) for _ in range(3)]
    yield _attention_case(*square, lower(n, n))
    yield _attention_case(*square, lower(n, n), "float32")


@masked_attention.core(
    "a hostile future changes nothing, however large its scores",
    hint="a masked weight is exactly 0; the highest score is that of the keys seen, however low",
    fits=("not finite",),
)
def masked_attention_hostile(draw: Draw):
    n, d_head, d_value = draw.sizes(3)
    mask = lower(n, n)
    q, k, v = np.abs(draw.normal(n, d_head)) + 0.5, draw.normal(n, d_head), draw.normal(n, d_value)
    k[1:] = np.abs(k[1:]) * 2e3
    k[0] = -np.abs(k[0]) * 2e3
    v[1:] *= 1e6
    yield _attention_case(q, k, v, mask)


@masked_attention.core(
    "gradients reach q, k and v, and none crosses the mask",
)
def masked_attention_gradients(draw: Draw):
    for lead in ((2,), (), (1, 3)):
        q, k, v = _masked_qkv(draw, *lead)
        mask = draw.mask(q.shape[-2], k.shape[-2])
        yield _gradient_case(draw, q, k, v, mask)


def _gradient_case(draw, q, k, v, mask):
    output, weights = oracles.attention(q, k, v, mask)
    cotangents = [draw.normal(*output.shape), draw.normal(*weights.shape)]
    expected = oracles.attention_gradients(q, k, v, cotangents, mask)
    judge = gradients_are(
        expected, "float64", {f"argument {n}": name for n, name in enumerate(QKV)}
    )
    return _attention_case(q, k, v, mask, judge=judge, cotangents=cotangents)


@masked_attention.edge(
    "a query with nothing to attend to gets zeros, with finite gradients",
    hint="masked_softmax of this lesson does it",
    fits=("not finite",),
)
def masked_attention_empty_rows(draw: Draw):
    q, k, v = _masked_qkv(draw, 2)
    mask = draw.mask(q.shape[-2], k.shape[-2])
    mask[1] = False
    yield _attention_case(q, k, v, mask)
    yield _gradient_case(draw, q, k, v, mask)


@masked_attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="what stands for minus infinity must fit into the dtype of the scores",
)
def masked_attention_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        q, k, v = _masked_qkv(draw, 2, dtype=dtype)
        mask = draw.mask(q.shape[-2], k.shape[-2])
        yield _attention_case(q, k, v, mask, dtype)
        empty = mask.copy()
        empty[1] = False
        yield _attention_case(q, k, v, empty, dtype)


@masked_attention.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="masked_softmax of this lesson does it: its highest score may be far below 0",
    fits=("not finite",),
)
def masked_attention_one_sided(draw: Draw):
    for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
        tolerance = of_one_side(dtype, size)
        q, k, v = one_sided(draw, dtype, size, 2)
        yield _attention_case(q, k, v, None, dtype, tolerance=tolerance)
        yield _attention_case(q, k, v, draw.mask(7, 7), dtype, tolerance=tolerance)
        one_query = q[..., :1, :], k, v
        yield _attention_case(*one_query, draw.mask(1, 7), dtype, tolerance=tolerance)


@masked_attention.edge(
    "q, k, v and mask are not changed, and every tensor is made on their device",
    hint="masked_fill makes a new tensor; device=q.device for what you make yourself",
    fits=("device",),
)
def masked_attention_leaves_inputs(draw: Draw):
    q, k, v = _masked_qkv(draw, 2)
    mask = draw.mask(q.shape[-2], k.shape[-2])
    for allowed in (mask, None):
        yield _attention_case(q, k, v, allowed, judge=arguments_unchanged(ATTENTION_CALL))
        yield _attention_case(q, k, v, allowed, judge=same_device, watch_devices=True)


@masked_attention.asked(
    "real sizes",
    "thousands of keys share a weight of 1, in half precision too",
    hint="masked_softmax of this lesson, over the whole row",
)
def masked_attention_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _attention_case(*many_keys(draw, dtype), draw.mask(3, 4099), dtype)


@masked_attention.nothing_to_do
def masked_attention_to_one_key(draw: Draw):
    q, k, v = draw.normal(2, 3, 5), draw.normal(2, 1, 5), draw.normal(2, 1, 7)
    for allowed in (True, False):
        mask = np.full((3, 1), allowed)
        yield masked_attention.call(q, k, v, mask, names=ATTENTION_CALL)


@masked_attention.asked(
    "real sizes",
    "a thousand queries, or keys, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def masked_attention_of_many_rows(draw: Draw):
    for q, k, v in many_rows(draw):
        for mask in (None, draw.mask(len(q), len(k)), draw.mask(1, len(k))):
            yield _attention_case(q, k, v, mask)
