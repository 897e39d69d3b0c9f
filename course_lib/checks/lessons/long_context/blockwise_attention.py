"""What must hold of `blockwise_attention`."""

from dataclasses import replace

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import IN_HALF
from ...judges.expect import (
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    raises,
    returns,
    same_device,
)
from ...judges.findings import Finding
from ...judges.seen import Malformed
from ...judges.tolerances import BY_DTYPE, Tolerance
from ...oracles import attention as oracles
from ...oracles import long_context as long_oracles
from ..attention.fixtures import LARGE, SMALL, many_keys, of_one_side, one_sided
from .fixtures import LESSON, named_up_to

QKV = ("q", "k", "v")

blockwise_attention = ComponentCheck("blockwise_attention", "long_context", LESSON)

N_WATCHED, BLOCK_WATCHED = 768, 32  # what blocks need is a fifth of what a T×S matrix takes
# In class the kernel gives no more than this: a T×S mask takes 49 MiB, a matrix of float32 196.
N_LIMITED, BLOCK_LIMITED, LIMIT = 7168, 64, 40 * 2**20


def _qkv(draw: Draw, *lead: int, dtype="float64", n_queries=None, n_keys=None):
    sizes = draw.sizes(4)
    n_queries, n_keys = n_queries or sizes[0], n_keys or sizes[1]
    shapes = ((n_queries, sizes[2]), (n_keys, sizes[2]), (n_keys, sizes[3]))
    return tuple(draw.normal(*lead, *shape, dtype=dtype) for shape in shapes)


def _blocks_case(q, k, v, block_size, causal=None, *, dtype="float64", judge=None, **options):
    mask = long_oracles.causal(q.shape[-2], k.shape[-2]) if causal else None
    given = {"block_size": block_size} | ({} if causal is None else {"causal": causal})
    case = blockwise_attention.call(q, k, v, names=QKV, dtype=dtype, **given, **options)
    if judge is None:
        judge = returns(oracles.gathered(q, k, v, mask), dtype=dtype)
    return case.expect(judge)


@blockwise_attention.core(
    "the output is that of attention, whatever the block size",
    hint="scores / sqrt(D), whatever the block; keep the running maximum, sum and weighted sum",
)
def blockwise_values(draw: Draw):
    q, k, v = _qkv(draw, 2)
    n_keys = k.shape[-2]
    for block_size in (1, 2, n_keys - 1, n_keys, n_keys + 4):
        yield _blocks_case(q, k, v, block_size)
    n, block_size = draw.sizes(2)
    square = [draw.normal(n, n) for _ in range(3)]
    for given in (square, _qkv(draw, dtype="float32")):
        dtype = "float64" if given is square else "float32"
        yield _blocks_case(*given, block_size, dtype=dtype)
        yield _blocks_case(*given, 2, causal=False, dtype=dtype)


@blockwise_attention.core(
    "any number of leading axes",
    hint="count axes from the end: transpose(-2, -1), dim=-1",
    fits=("shape", "raised"),
)
def blockwise_leading_axes(draw: Draw):
    for lead in ((), (3,), (2, 4), (3, 3), (2, 1, 3)):
        yield _blocks_case(*_qkv(draw, *lead), 2)


@blockwise_attention.core(
    "causal=True hides what comes after a query; the queries are the last positions",
    hint="query t stands at position S - T + t; the keys of a block start at its own start",
)
def blockwise_causal(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((many, many), (few, many), (1, many), (1, 1)):
        q, k, v = _qkv(draw, 2, n_queries=n_queries, n_keys=n_keys)
        for block_size in (1, 2, few, n_keys + 3):
            yield _blocks_case(q, k, v, block_size, causal=True)
    yield _blocks_case(*_qkv(draw, 2, 4, n_queries=5, n_keys=7), 3, causal=True)
    yield _blocks_case(
        *_qkv(draw, dtype="float32", n_queries=4, n_keys=6), 4, causal=True, dtype="float32"
    )


def _hostile_case(draw: Draw, scores: np.ndarray, dtype: str, block_size: int, causal=False):
    """A call with exactly these scores, in float32 too: D = 4, and all products are whole numbers.

    A running sum kept as its logarithm is near 1e4 as well, where float32 has steps of 1e-3.
    """
    n_queries, n_keys = scores.shape
    q, k = np.zeros((n_queries, 4)), np.zeros((n_keys, 4))
    row = scores[0]  # the others are multiples of it
    q[:, 1], k[:, 1] = 2 * (scores @ row / (row @ row)).round(6), row
    v = draw.normal(n_keys, 5, dtype=dtype)
    mask = long_oracles.causal(n_queries, n_keys) if causal else None
    tolerance = Tolerance(5e-3, 5e-3) if dtype == "float32" else BY_DTYPE[dtype]
    judge = returns(oracles.gathered(q, k, v, mask), dtype=dtype, tolerance=tolerance)
    case = _blocks_case(q, k, v, block_size, causal=causal, dtype=dtype, judge=judge)
    return named_up_to(1e-2, case) if dtype == "float32" else case


@blockwise_attention.core(
    "scores up to ±6e4 do no harm, wherever the largest one stands",
    hint="begin the maximum at -inf; a higher score shrinks both sums by exp(old - new)",
    fits=("not finite",),
)
def blockwise_hostile(draw: Draw):
    towards = np.outer([1.0, 0.5, 0.25, -1.0], [-1e4, -9998.0, -200.0, 0.0, 4.0, 9996.0, 1e4])
    low = np.outer(np.ones(4), [-1e4, -9999.0, -1e4, -9998.0, -9999.0, -1e4, -9998.0])
    high = np.outer(np.ones(4), [9998.0, 1e4, 9999.0, 9999.0, 1e4, 9998.0, 9999.0])
    for dtype in ("float64", "float32"):
        for scores in (towards, towards[:, ::-1], low, high):
            for block_size in (1, 3):
                yield _hostile_case(draw, scores, dtype, block_size)
        for scores in (towards, low):
            for block_size in (2, 5):
                yield _hostile_case(draw, scores, dtype, block_size, causal=True)
    yield _hostile_case(draw, 6 * low, "float64", 2)
    for dtype, rise in (("float32", 88.0), ("float64", 708.0)):  # exp of it is finite, a sum is not
        risen = np.outer(np.ones(4), [0.0, 0.0, rise, rise, rise, rise, rise, rise, rise])
        yield _hostile_case(draw, risen, dtype, 2)
    for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
        q, k, v = one_sided(draw, dtype, size, 2)
        for block_size, causal in ((1, False), (3, True), (7, False), (2, True)):
            mask = long_oracles.causal(7, 7) if causal else None
            expected = oracles.gathered(q, k, v, mask)
            judge = returns(expected, dtype=dtype, tolerance=of_one_side(dtype, size))
            case = _blocks_case(q, k, v, block_size, causal=causal, dtype=dtype, judge=judge)
            yield named_up_to(1e-1, case)
    q, k, v = _qkv(draw)
    yield _blocks_case(60 * q, 60 * k, v, 2)
    yield _blocks_case(60 * q, k / 60, v, 2)


@blockwise_attention.core(
    "gradients reach q, k and v",
)
def blockwise_gradients(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for causal in (False, True):
        q, k, v = _qkv(draw, 2, n_queries=few, n_keys=many)
        mask = long_oracles.causal(few, many) if causal else None
        cotangent = draw.normal(2, few, v.shape[-1])
        expected = oracles.attention_gradients(q, k, v, [cotangent, None], mask)
        labels = {f"argument {n}": name for n, name in enumerate(QKV)}
        judge = gradients_are(expected, "float64", labels)
        yield _blocks_case(q, k, v, 2, causal=causal, judge=judge, cotangents=[cotangent])


@blockwise_attention.edge(
    "no T×S matrix is ever held: no scores, no weights, no mask of that size",
    hint="a block of scores is (T, block_size); keep nothing of it but maximum, sum, output",
)
def blockwise_memory(draw: Draw):
    limit = N_WATCHED**2

    def held_little(seen):
        finding = no_error(seen)
        if finding:
            return finding
        peaks, kind = seen.flag("peaks"), seen.flag("too_many")
        if kind == "":
            return None
        if kind not in ("numbers", "masks") or not isinstance(peaks, dict):
            raise Malformed("memory")
        what = "numbers" if kind == "numbers" else "entries of masks or positions"
        return Finding(
            "a T×S matrix was held",
            expected=f"at any time fewer than T·S = {limit} {what}",
            got=str(peaks.get(kind))[:40],
        )

    for causal in (False, True):
        q, k, v = (draw.normal(N_WATCHED, 4, dtype="float32") for _ in QKV)
        expected = long_oracles.square_attention(q, k, v, causal=causal)
        judge = also(returns(expected, dtype="float32"), held_little)
        case = _blocks_case(q, k, v, BLOCK_WATCHED, causal=causal, dtype="float32", judge=judge)
        yield replace(case, call=case.call | {"probe": "memory", "limit": limit})
    yield _limited(draw)


def _limited(draw: Draw):
    """A text so long that no T×S matrix can be had; some of its rows are looked at."""
    q, k, v = (draw.normal(N_LIMITED, 4, dtype="float32") for _ in QKV)
    rows = np.sort(draw.order(N_LIMITED)[:9])
    allowed = rows[:, None] >= np.arange(N_LIMITED)
    expected = oracles.gathered(q[rows], k, v, allowed)
    has_the_shape = returns(np.zeros((N_LIMITED, 4)), dtype="float32", skip_values=True)

    def judge(seen):
        if seen.error and seen.error["type"] in ("MemoryError", "RuntimeError"):
            return Finding(
                "more memory was asked for than blocks take",
                expected=f"less than {LIMIT // 2**20} MiB: a T×S mask alone would take 49",
                got=seen.error["message"][:100],
            )
        return has_the_shape(seen) or differs(
            seen.outputs[0].array[rows], expected, BY_DTYPE["float32"], "some rows"
        )

    case = _blocks_case(q, k, v, BLOCK_LIMITED, causal=True, dtype="float32", judge=judge)
    return replace(case, call=case.call | {"limits": {"memory_bytes": LIMIT}})


@blockwise_attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint=IN_HALF,
)
def blockwise_half(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for dtype in ("bfloat16", "float16"):
        q, k, v = _qkv(draw, 2, dtype=dtype, n_queries=few, n_keys=many)
        yield _blocks_case(q, k, v, 2, dtype=dtype)
        yield _blocks_case(q, k, v, 3, causal=True, dtype=dtype)


@blockwise_attention.edge(
    "sums over blocks are kept in float32 when the inputs are half precision",
    hint="in bfloat16, 256 + 1 is 256; in float16, nothing lies above 65504",
    fits=("not finite",),
)
def blockwise_accumulates(draw: Draw):
    n_queries, d_head, d_value = draw.sizes(3)
    q, k = np.zeros((n_queries, d_head)), draw.normal(600, d_head, dtype="bfloat16")
    v = exact_in(1 + 0.1 * draw.normal(600, d_value), "bfloat16")
    v[300:] += 2  # all weigh the same: 2 on average
    v = exact_in(v, "bfloat16")
    yield _blocks_case(q, k, v, 3, dtype="bfloat16")
    q, k = np.zeros((n_queries, d_head)), draw.normal(150, d_head, dtype="float16")
    v = exact_in(1000 + 10 * draw.normal(150, d_value), "float16")
    yield _blocks_case(q, k, v, 7, dtype="float16")


@blockwise_attention.edge(
    "a block_size below 1: ValueError",
    hint="range() refuses a step of 0 by itself, but not a negative one",
)
def blockwise_refuses_block_size(draw: Draw):
    for block_size in (0, -1, -4):
        judge = raises("ValueError", "block_size", str(block_size))
        yield _blocks_case(*_qkv(draw, 2), block_size, judge=judge)


@blockwise_attention.edge(
    "causal with more queries than keys: ValueError",
    hint="there is no position for the first queries; without causal it is fine",
)
def blockwise_refuses_more_queries(draw: Draw):
    few, many = sorted(draw.sizes(2))
    q, k, v = _qkv(draw, 2, n_queries=many, n_keys=few)
    case = blockwise_attention.call(q, k, v, names=QKV, block_size=2, causal=True)
    yield case.expect(raises("ValueError", str(many), str(few)))
    yield _blocks_case(q, k, v, 2)


@blockwise_attention.edge(
    "q, k and v are not changed, and every tensor is made on their device",
    hint="q = q / … makes a new tensor, q /= … does not; device=q.device",
    fits=("device",),
)
def blockwise_leaves_inputs(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for dtype in ("float64", "float32"):
        q, k, v = _qkv(draw, 2, dtype=dtype, n_queries=few, n_keys=many)
        for causal in (False, True):
            given = {"causal": causal, "dtype": dtype}
            yield _blocks_case(q, k, v, 2, judge=arguments_unchanged(QKV), **given)
            yield _blocks_case(q, k, v, 2, judge=same_device, watch_devices=True, **given)


@blockwise_attention.asked(
    "real sizes",
    "thousands of keys share a weight of 1, in half precision too",
    hint="sums over blocks in float32: in bfloat16 they stand still at 256",
)
def blockwise_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _blocks_case(*many_keys(draw, dtype), 64, dtype=dtype)


@blockwise_attention.nothing_to_do
def blockwise_over_one_key(draw: Draw):
    q, k, v = draw.normal(2, 3, 5), draw.normal(2, 1, 5), draw.normal(2, 1, 7)
    yield blockwise_attention.call(q, k, v, block_size=8, names=("q", "k", "v"))


@blockwise_attention.asked(
    "real sizes",
    "a thousand queries, or keys, and some more are like any others",
    hint="the last block may be shorter than the others, of keys as of queries",
)
def blockwise_of_many_rows(draw: Draw):
    for n_queries, n_keys, block_size in (
        (1031, 3, 2),
        (1025, 2, 2),
        (3, 1031, 128),
        (2, 1025, 256),
    ):
        q, k, v = draw.normal(n_queries, 3), draw.normal(n_keys, 3), draw.normal(n_keys, 2)
        yield _blocks_case(q, k, v, block_size)
    for n_tokens, block_size in ((1031, 256), (1025, 128)):
        texts = (draw.normal(n_tokens, 2) for _ in range(3))
        yield _blocks_case(*texts, block_size, causal=True)
