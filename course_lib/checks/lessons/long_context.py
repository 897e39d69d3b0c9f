"""What must hold of lesson 11: costs, positions that are turned, windows, blocks, shared keys."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..cases.check import Case, ComponentCheck, Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    no_error,
    parameters_are,
    raises,
    returns,
    same_device,
)
from ..judges.findings import Finding
from ..judges.plain import function_case, returns_value
from ..judges.seen import Malformed
from ..judges.tolerances import BY_DTYPE, Tolerance
from ..oracles import attention as oracles
from ..oracles import long_context as long_oracles

LESSON = "11_long_contexts"
QKV = ("q", "k", "v")
ROTATED = ("x", "positions")
SEEN_BY = ("x", "mask")
THE_CALLS_DEVICE = {"device": True}  # replaced by the device under test when the call is made

attention_flops = ComponentCheck("attention_flops", "long_context", LESSON)
attention_bytes = ComponentCheck("attention_bytes", "long_context", LESSON)
kv_cache_bytes = ComponentCheck("kv_cache_bytes", "long_context", LESSON)
sinusoidal_positions = ComponentCheck("sinusoidal_positions", "long_context", LESSON)
rotate = ComponentCheck("rotate", "long_context", LESSON)
sliding_window_mask = ComponentCheck("sliding_window_mask", "long_context", LESSON)
blockwise_attention = ComponentCheck("blockwise_attention", "long_context", LESSON)
grouped_query_attention = ComponentCheck("GroupedQueryAttention", "long_context", LESSON)


# --- the three counters ---


def add_counter_properties(
    check: ComponentCheck,
    count: Callable[..., int],
    *,
    rule: str,
    hint: str,
    names: tuple[str, ...],
    by_hand: list[dict],
    large: list[dict],
    by_name_only: bool,
) -> None:
    """What the counters have in common: a product of whole numbers, exact however large.

    Args:
        count: the right number, from arguments by name.
        names: the arguments, in order.
    """

    def case(given: dict, *, by_name: bool = by_name_only) -> Case:
        if by_name:
            made = function_case(check, **dict(reversed(given.items())))
        else:
            made = function_case(check, *given.values())
        return made.expect(returns_value(count(**given)))

    def drawn(draw: Draw) -> dict:
        return dict(zip(names, draw.sizes(len(names)), strict=True))

    @check.core(rule, hint=hint)
    def values(draw: Draw):
        for given in (*by_hand, drawn(draw), drawn(draw)):
            yield case(given)
        yield case(drawn(draw), by_name=True)
        yield case(dict.fromkeys(names, 1))

    @check.edge(
        "the number is an int, and exact however large",
        hint="multiply whole numbers with * and **; a float holds no more than 16 digits",
    )
    def exact(draw: Draw):
        for given in large:
            yield case(given)


add_counter_properties(
    attention_flops,
    lambda n_tokens, d_model: 4 * n_tokens**2 * d_model,
    rule="4·T²·C operations: two products of T²·C multiply-adds, each two operations",
    hint="Q·Kᵀ has T² entries, each a dot product over all channels; weights times V as well",
    names=("n_tokens", "d_model"),
    by_hand=[
        {"n_tokens": 3, "d_model": 2},
        {"n_tokens": 5, "d_model": 64},
        {"n_tokens": 1024, "d_model": 768},
    ],
    large=[
        {"n_tokens": 100_003, "d_model": 12_289},
        {"n_tokens": 10_000_019, "d_model": 12_289},
    ],
    by_name_only=False,
)
add_counter_properties(
    attention_bytes,
    lambda n_tokens, n_heads, bytes_per_element: n_tokens**2 * n_heads * bytes_per_element,
    rule="one T×T table of weights for each head, in bytes",
    hint="count the numbers of all heads, then multiply by the bytes of one",
    names=("n_tokens", "n_heads", "bytes_per_element"),
    by_hand=[
        {"n_tokens": 3, "n_heads": 2, "bytes_per_element": 4},
        {"n_tokens": 1024, "n_heads": 12, "bytes_per_element": 2},
    ],
    large=[
        {"n_tokens": 10_000_019, "n_heads": 97, "bytes_per_element": 2},
        {"n_tokens": 100_000_007, "n_heads": 97, "bytes_per_element": 4},
    ],
    by_name_only=False,
)
CACHE_SIZES = ("n_layers", "n_kv_heads", "d_head", "n_tokens", "bytes_per_element")


def _cache_bytes(n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1) -> int:
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


def _cache(*sizes: int) -> dict:
    return dict(zip((*CACHE_SIZES, "batch_size"), sizes, strict=False))


add_counter_properties(
    kv_cache_bytes,
    _cache_bytes,
    rule="keys and values of all layers, key heads, tokens and texts, in bytes",
    hint="two tensors a layer, each of the shape (B, key heads, T, D)",
    names=(*CACHE_SIZES, "batch_size"),
    by_hand=[_cache(2, 3, 4, 5, 2, 7), _cache(32, 8, 128, 8192, 2, 1)],
    large=[_cache(127, 129, 131, 10_000_019, 3, 9), _cache(127, 129, 131, 1_000_003, 2, 1001)],
    by_name_only=True,
)


@kv_cache_bytes.core("one text unless batch_size says otherwise", hint="batch_size: int = 1")
def kv_cache_bytes_of_one_text(draw: Draw):
    for sizes in (draw.sizes(5), draw.sizes(5)):
        given = _cache(*sizes)
        yield function_case(kv_cache_bytes, **given).expect(returns_value(_cache_bytes(**given)))


# --- sinusoidal_positions ---


def _waves_case(n_positions: int, d_model: int, *, by_name: bool = False) -> Case:
    """Right within what a sound angle in float32 gives: its error grows with the position."""
    given = {"n_positions": n_positions, "d_model": d_model}
    case = (
        sinusoidal_positions.call(dtype="float32", **given)
        if by_name
        else sinusoidal_positions.call(*given.values(), dtype="float32")
    )
    expected = long_oracles.waves(n_positions, d_model)
    allowed = Tolerance(0.0, 1e-5 + 1e-6 * np.arange(n_positions)[:, None])
    return _named_up_to(2e-3 if n_positions < 1000 else 2e-2, case).expect(
        returns(expected, dtype="float32", tolerance=allowed)
    )


def _named_up_to(difference: float, case: Case) -> Case:
    """A case whose bugs keep their names when they are written with angles in float32."""
    return replace(case, call=case.call | {"alike": difference})


@sinusoidal_positions.core(
    "channel 2i holds sin(p / 10000^(2i/C)), and channel 2i + 1 the cosine of the same",
    hint="one angle for each pair of channels; stack sine and cosine, then flatten",
)
def sinusoidal_values(draw: Draw):
    n_positions, half = draw.sizes(2)
    yield _waves_case(3, 4)
    for shape in ((n_positions, 2 * half), (2 * half, 2 * half), (40, 6)):
        yield _waves_case(*shape)
    yield _waves_case(n_positions, 2 * half, by_name=True)


@sinusoidal_positions.core(
    "two channels are one pair, and one position is position 0",
    hint="the first pair's exponent is 0: its angle is p itself",
)
def sinusoidal_small(draw: Draw):
    n_positions, half = draw.sizes(2)
    for shape in ((n_positions, 2), (1, 2 * half), (1, 2)):
        yield _waves_case(*shape)


@sinusoidal_positions.edge(
    "positions in the thousands are right as well, and the table stays float32",
    hint="angles in float32 or float64: half precision does not hold 2049",
)
def sinusoidal_large(draw: Draw):
    (half,) = draw.sizes(1)
    for shape in ((4097 + half, 6), (20_000, 2), (2500, 2 * half)):
        yield _waves_case(*shape)


# --- rotate ---


def _rotate_case(x, positions, *base, dtype="float64", judge=None, large=False, **options):
    expected = long_oracles.rotate(x, positions, *base, **_base_of(options))
    case = rotate.call(x, positions, *base, dtype=dtype, names=ROTATED, **options)
    judge = judge or returns(expected, dtype=dtype, tolerance=_turned(positions, dtype))
    return _named_up_to(_alike_turned(dtype, large), case).expect(judge)


def _base_of(options: dict) -> dict:
    return {"base": options["base"]} if "base" in options else {}


def _turned(positions: np.ndarray, dtype: str) -> Tolerance:
    """What a sound angle in float32 leaves uncertain: the more, the larger the position."""
    usual = BY_DTYPE[dtype]
    return Tolerance(usual.relative, usual.absolute + 3e-6 * (1 + np.abs(positions)[:, None]))


def _alike_turned(dtype: str, large: bool) -> float:
    if dtype == "bfloat16":
        return 1e-1
    return 3e-2 if large or dtype == "float16" else 1e-3


def _positions(draw: Draw, count: int, low: int = -9, high: int = 40) -> np.ndarray:
    """Any positions, in any order, some of them negative; the first is not 0."""
    positions = draw.integers(low, high, count)
    positions[0] = high + 1
    return positions


@rotate.core(
    "the pair (2i, 2i+1) turns by position · base^(-2i/D)",
    hint="(a cos − b sin, a sin + b cos), and a and b are neighbours: x[..., 0::2], x[..., 1::2]",
)
def rotate_values(draw: Draw):
    n_tokens, half, n_heads = draw.sizes(3)
    yield _rotate_case(np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 2.0, 3.0, 4.0]]), np.array([1, 2]))
    for lead in ((), (2,), (2, n_heads), (n_tokens, n_tokens)):
        x = draw.normal(*lead, n_tokens, 2 * half)
        yield _rotate_case(x, np.arange(n_tokens))
    yield _rotate_case(draw.normal(2 * half, 2 * half), np.arange(2 * half))
    x = draw.normal(2, n_tokens, 2 * half, dtype="float32")
    yield _rotate_case(x, np.arange(n_tokens), dtype="float32")


@rotate.core(
    "row t turns by positions[t], whatever it is: later ones, negative ones, in any order",
    hint="take the angles from positions, not from the shape of x",
)
def rotate_by_positions(draw: Draw):
    n_tokens, half, start = draw.sizes(3)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, start + np.arange(n_tokens))
    yield _rotate_case(x, _positions(draw, n_tokens))
    yield _rotate_case(x[:, :1], np.array([start]))
    yield _rotate_case(draw.normal(2, 4, n_tokens, 2 * half), _positions(draw, n_tokens))


@rotate.core("at position 0 nothing turns", hint="the cosine of 0 is 1, and the sine is 0")
def rotate_at_zero(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, np.zeros(n_tokens, dtype=np.int64))


@rotate.core(
    "two channels are one pair, which turns by the position itself",
    hint="the first exponent is 0, and base^0 is 1",
)
def rotate_one_pair(draw: Draw):
    n_tokens, _ = draw.sizes(2)
    yield _rotate_case(draw.normal(3, n_tokens, 2), _positions(draw, n_tokens))


@rotate.core(
    "another base gives other angles, but for the first pair",
    hint="base is an argument; 10000 is its default alone",
)
def rotate_base(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x, positions = draw.normal(2, n_tokens, 2 * half), _positions(draw, n_tokens)
    yield _rotate_case(x, positions, 500.0)
    yield _rotate_case(x, positions, base=17.5)
    yield _rotate_case(x, positions, base=500_000.0)


@rotate.core("gradients reach x", hint="write nothing into x, and cut nothing off with detach()")
def rotate_gradients(draw: Draw):
    n_tokens, half = draw.sizes(2)
    x, positions = draw.normal(2, n_tokens, 2 * half), np.arange(n_tokens)
    cotangent = draw.normal(*x.shape)
    turned_back = long_oracles.rotate(cotangent, -positions)
    # as close as angles in float32 allow, though x is float64
    judge = gradients_are({"argument 0": turned_back}, "float32", {"argument 0": "x"})
    yield _rotate_case(x, positions, judge=judge, cotangents=[cotangent])


@rotate.edge(
    "an odd number of channels: ValueError naming it",
    hint="look at x.shape[-1] % 2 before anything else",
)
def rotate_refuses(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for width in (d_head, 1):
        case = rotate.call(draw.normal(2, n_tokens, width), np.arange(n_tokens), names=ROTATED)
        yield case.expect(raises("ValueError", str(width)))


@rotate.edge(
    "half precision in, half precision out, with angles in float32 or better",
    hint="bfloat16 has no 257: make the angles in float32, and go back to x.dtype at the end",
)
def rotate_half(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        x = draw.normal(2, n_tokens, 2 * half, dtype=dtype)
        yield _rotate_case(x, np.arange(n_tokens), dtype=dtype)
        yield _rotate_case(x, 3001 + 2 * np.arange(n_tokens), dtype=dtype, large=True)


@rotate.edge(
    "positions in the thousands turn as exactly as float32 allows",
    hint="an angle of 4000 in half precision is off by a whole turn",
)
def rotate_far(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("float32", "float64"):
        x = draw.normal(2, n_tokens, 2 * half, dtype=dtype)
        yield _rotate_case(x, _positions(draw, n_tokens, 1001, 6001), dtype=dtype, large=True)


@rotate.edge(
    "x and positions are not changed, and every tensor is made on their device",
    hint="device=x.device for what you make yourself; x[..., 0::2] = … writes into x",
)
def rotate_leaves_inputs(draw: Draw):
    n_tokens, half = draw.sizes(2)
    for dtype in ("float64", "float32", "bfloat16"):
        x, positions = draw.normal(2, n_tokens, 2 * half, dtype=dtype), np.arange(n_tokens)
        yield _rotate_case(x, positions, dtype=dtype, judge=arguments_unchanged(ROTATED))
        yield _rotate_case(x, positions, dtype=dtype, judge=same_device, watch_devices=True)
    x = draw.normal(2, n_tokens, 2 * half)
    yield _rotate_case(x, np.arange(n_tokens, dtype=np.int32))


# --- sliding_window_mask ---


def _window_case(n_queries, *n_keys, window: int, judge=None, **options) -> Case:
    width = (*n_keys, options.get("n_keys"), n_queries)
    width = next(n for n in width if n is not None)
    case = sliding_window_mask.call(n_queries, *n_keys, window=window, **options)
    expected = long_oracles.sliding_window(n_queries, width, window)
    return case.expect(judge or returns(expected, dtype="float64"))


@sliding_window_mask.core(
    "query t may attend to the `window` keys up to its own, and to no later one",
    hint="two conditions: not after the query, and less than `window` before it",
)
def window_square(draw: Draw):
    n, window = sorted(draw.sizes(2))[::-1]
    yield _window_case(5, window=3)
    for width in (window, 2, n - 1):
        yield _window_case(n, window=width)


@sliding_window_mask.core(
    "the queries are the last n_queries of the n_keys positions",
    hint="the first query stands at position n_keys - n_queries, as in causal_mask",
)
def window_with_cache(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys, window in (
        (2, 5, 2),
        (few, many, few),
        (few, many, 2),
        (1, many, 3),
        (few, many, many - 1),
        (many, many, few),
    ):
        yield _window_case(n_queries, n_keys, window=window)
        yield _window_case(n_queries, n_keys=n_keys, window=window)


@sliding_window_mask.core(
    "a window of 1 is the query's own key; one as long as the text is the causal mask",
    hint="count: from position p - window + 1 to p, both included, there are `window` keys",
)
def window_smallest_and_largest(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((many, many), (few, many), (1, 1)):
        for window in (1, n_keys, n_keys + 1, n_keys + 40):
            yield _window_case(n_queries, n_keys, window=window)


@sliding_window_mask.edge(
    "a window below 1: ValueError naming window and its value",
    hint="a query that sees nothing is a mistake of the caller",
)
def window_refuses(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for window in (0, -1, -few):
        judge = raises("ValueError", "window", str(window))
        yield _window_case(many, window=window, judge=judge)
        yield _window_case(few, many, window=window, judge=judge)


@sliding_window_mask.edge(
    "fewer keys than queries: ValueError naming n_keys and its value",
    hint="causal_mask of lesson 3 refuses it: call it",
)
def window_refuses_fewer_keys(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((many, few), (many + 1, many)):
        case = sliding_window_mask.call(n_queries, n_keys, window=2)
        yield case.expect(raises("ValueError", "n_keys", str(n_keys)))


@sliding_window_mask.edge("the mask is made on the given device", hint="torch.…(…, device=device)")
def window_device(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for args in ((many,), (few, many)):
        yield _window_case(
            *args, window=few, device=THE_CALLS_DEVICE, judge=same_device, watch_devices=True
        )


# --- blockwise_attention ---

N_WATCHED, BLOCK_WATCHED = 768, 32  # what blocks need is a fifth of what a T×S matrix takes


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
        judge = returns(oracles.attention(q, k, v, mask)[0], dtype=dtype)
    return case.expect(judge)


@blockwise_attention.core(
    "the output is that of attention, whatever the block size",
    hint="the last block may be shorter; keep the running maximum, sum and weighted sum",
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
    "any number of leading axes", hint="count axes from the end: transpose(-2, -1), dim=-1"
)
def blockwise_leading_axes(draw: Draw):
    for lead in ((), (3,), (2, 4), (3, 3), (2, 1, 3)):
        yield _blocks_case(*_qkv(draw, *lead), 2)
    yield _blocks_case(*_qkv(draw, 2, 4, n_queries=5, n_keys=7), 3, causal=True)


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
    judge = returns(oracles.attention(q, k, v, mask)[0], dtype=dtype, tolerance=tolerance)
    case = _blocks_case(q, k, v, block_size, causal=causal, dtype=dtype, judge=judge)
    return _named_up_to(1e-2, case) if dtype == "float32" else case


@blockwise_attention.core(
    "scores up to ±6e4 do no harm, wherever the largest one stands",
    hint="when a higher score turns up, shrink the sum and the weighted sum by exp(old - new)",
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
    q, k, v = _qkv(draw)
    yield _blocks_case(60 * q, 60 * k, v, 2)
    yield _blocks_case(60 * q, k / 60, v, 2)


@blockwise_attention.core(
    "gradients reach q, k and v", hint="no_grad(), detach() and item() cut the way back"
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


@blockwise_attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="end with .to(q.dtype)",
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
    "a block_size below 1: ValueError naming block_size and its value",
    hint="range() refuses a step of 0 by itself, but not a negative one, and not by name",
)
def blockwise_refuses_block_size(draw: Draw):
    for block_size in (0, -1, -4):
        judge = raises("ValueError", "block_size", str(block_size))
        yield _blocks_case(*_qkv(draw, 2), block_size, judge=judge)


@blockwise_attention.edge(
    "causal with more queries than keys: ValueError with both numbers",
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
)
def blockwise_leaves_inputs(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for dtype in ("float64", "float32"):
        q, k, v = _qkv(draw, 2, dtype=dtype, n_queries=few, n_keys=many)
        for causal in (False, True):
            given = {"causal": causal, "dtype": dtype}
            yield _blocks_case(q, k, v, 2, judge=arguments_unchanged(QKV), **given)
            yield _blocks_case(q, k, v, 2, judge=same_device, watch_devices=True, **given)


# --- GroupedQueryAttention ---


def _grouped_layers(draw: Draw, sizes, *, bias: bool = True, dtype: str = "float64") -> dict:
    """Weights by the names of `state_dict`, large enough that attention is far from even."""
    n_heads, n_kv_heads, d_head = sizes
    d_model = n_heads * d_head
    size = 0.6 if dtype in ("float16", "bfloat16") else 1.5  # rounding grows with the scores
    d_kv = n_kv_heads * d_head
    widths = {"query": d_model, "key": d_kv, "value": d_kv, "out": d_model}
    weights = {
        f"{name}.weight": size * draw.normal(n_out, d_model) / np.sqrt(d_model)
        for name, n_out in widths.items()
    }
    if bias:
        weights |= {f"{name}.bias": size * draw.normal(n_out) for name, n_out in widths.items()}
    return {name: exact_in(array, dtype) for name, array in weights.items()}


def _grouped_case(
    draw: Draw,
    sizes,
    *,
    mask=None,
    bias=True,
    dtype="float64",
    weights=None,
    x=None,
    judge=None,
    expected=None,
    **options,
):
    """A layer with drawn weights over drawn texts.

    Args:
        sizes: how many texts, tokens, heads, heads of keys, and channels a head.
        judge: what must hold of the call besides its parameters, instead of its values.
    """
    n_texts, n_tokens, n_heads, n_kv_heads, d_head = sizes
    d_model = n_heads * d_head
    if weights is None:
        weights = _grouped_layers(draw, sizes[2:], bias=bias, dtype=dtype)
    if x is None:
        x = draw.normal(n_texts, n_tokens, d_model, dtype=dtype)
    if judge is None:
        if expected is None:
            expected = long_oracles.grouped_query(x, weights, n_heads, n_kv_heads, mask)
        judge = returns(expected, dtype=dtype)
    case = grouped_query_attention.build(
        d_model,
        n_heads,
        n_kv_heads,
        x=x if mask is None else (x, mask),
        weights=weights,
        dtype=dtype,
        init_kwargs={} if bias else {"bias": False},
        names=SEEN_BY,
        **options,
    )
    shapes = {name: array.shape for name, array in weights.items()}
    return case.expect(also(parameters_are(shapes), judge))


@grouped_query_attention.core(
    "the parameters are query and out, C -> C, key and value, C -> n_kv_heads·D",
    hint="D = C / n_heads, for keys as well; bias=False means that none of the four has one",
)
def grouped_parameters(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for bias in (True, False):
        for n_kv_heads in (1, 2, 6):
            sizes = (2, n_tokens, 6, n_kv_heads, d_head)
            yield _grouped_case(draw, sizes, bias=bias, judge=no_error)


@grouped_query_attention.core(
    "query head h reads key head h // (n_heads // n_kv_heads)",
    hint="neighbours share: with 6 heads and 2 of keys, heads 0, 1, 2 read the first",
)
def grouped_values(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for n_heads, n_kv_heads in ((6, 2), (6, 3), (4, 2), (9, 3), (8, 2)):
        yield _grouped_case(draw, (2, n_tokens, n_heads, n_kv_heads, d_head))
    yield _grouped_case(draw, (6, 6, 6, 3, 6))
    yield _grouped_case(draw, (3, 7, 6, 3, d_head), bias=False)
    yield _grouped_case(draw, (2, n_tokens, 6, 2, d_head), dtype="float32")


@grouped_query_attention.core(
    "one key head for all, and one channel a head, and one token, are no exceptions",
    hint="squeeze() and -1 in a view guess wrong when a size is 1",
)
def grouped_small(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for sizes in ((6, 1, d_head), (6, 2, 1), (1, 1, d_head)):
        yield _grouped_case(draw, (2, n_tokens, *sizes))
    yield _grouped_case(draw, (1, 1, 6, 2, d_head))


@grouped_query_attention.core(
    "with as many key heads as query heads it is multi-head attention",
    hint="a group of one head: nothing is repeated",
)
def grouped_equals_multi_head(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    sizes = (2, n_tokens, n_heads, n_heads, d_head)
    for bias in (True, False):
        weights = _grouped_layers(draw, sizes[2:], bias=bias)
        x = draw.normal(2, n_tokens, n_heads * d_head)
        joined = {name: weights[name] for name in weights if name.startswith("out")}
        for kind in ("weight", "bias") if bias else ("weight",):
            parts = [weights[f"{name}.{kind}"] for name in ("query", "key", "value")]
            joined[f"qkv.{kind}"] = np.concatenate(parts)
        expected = oracles.multi_head(x, joined, n_heads)
        yield _grouped_case(draw, sizes, weights=weights, x=x, bias=bias, expected=expected)


@grouped_query_attention.core(
    "a mask (T, S) holds for every text and every head",
    hint="(T, S) broadcasts to (B, H, T, S) by itself",
)
def grouped_one_mask(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for mask in (draw.mask(n_tokens, n_tokens), np.tri(n_tokens, dtype=bool)):
        yield _grouped_case(draw, (2, n_tokens, 6, 2, d_head), mask=mask)
        yield _grouped_case(draw, (2, n_tokens, 3, 1, d_head), mask=mask)
    yield _grouped_case(draw, (6, 6, 6, 3, d_head), mask=draw.mask(6, 6))


@grouped_query_attention.core(
    "in a mask (B, T, S) or (B, 1, S), text b has its own, shared by all heads",
    hint="scores are (B, H, T, S): give the mask an axis for the heads, of length 1",
)
def grouped_mask_of_each_text(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for n_texts in (6, 2, 3, 1):  # with B = H a missing axis is no error, only wrong
        for n_rows in (n_tokens, 1):
            mask = draw.mask(n_texts, n_rows, n_tokens)
            yield _grouped_case(draw, (n_texts, n_tokens, 6, 2, d_head), mask=mask)
    yield _grouped_case(draw, (6, 6, 6, 6, d_head), mask=draw.mask(6, 6, 6))


@grouped_query_attention.core(
    "what is masked changes nothing, however low the scores that are left",
    hint="-1e4 is not minus infinity; masked_attention of lesson 3 hides for good",
)
def grouped_hostile(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    sizes = (4, n_tokens, 6, 2, d_head)
    weights = _grouped_layers(draw, sizes[2:])
    x, mask = 1e3 * draw.normal(4, n_tokens, 6 * d_head), np.tri(n_tokens, dtype=bool)
    expected = long_oracles.grouped_query(x, weights, 6, 2, mask)
    tolerance = Tolerance(1e-7, 1e-6)  # scores of a million leave ten digits for the weights
    judge = returns(expected, dtype="float64", tolerance=tolerance)
    yield _grouped_case(draw, sizes, x=x, weights=weights, mask=mask, judge=judge)


@grouped_query_attention.core(
    "training is as evaluation, whatever texts came before",
    hint="forward keeps nothing between calls",
)
def grouped_modes(draw: Draw):
    short, long, d_head = sorted(draw.sizes(3))
    yield _grouped_case(draw, (2, short, 6, 2, d_head), training=True)
    for now, before in ((short, long), (long, short)):
        earlier = draw.normal(3, before, 6 * d_head)
        yield _grouped_case(draw, (2, now, 6, 2, d_head), warm_up=[earlier])
    other_mask = draw.mask(now, now)
    earlier = [draw.normal(2, now, 6 * d_head), other_mask]
    for mask in (None, ~other_mask | np.eye(now, dtype=bool)):
        yield _grouped_case(draw, (2, now, 6, 2, d_head), mask=mask, warm_up=[earlier])


@grouped_query_attention.core(
    "gradients reach x and every weight, and none crosses the mask",
    hint="detach() and no_grad() cut the way back",
)
def grouped_gradients(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    yield _grouped_gradient_case(draw, (2, n_tokens, 6, 2, d_head), np.tri(n_tokens, dtype=bool))


def _grouped_gradient_case(draw: Draw, sizes, mask):
    n_texts, n_tokens, n_heads, n_kv_heads, d_head = sizes
    weights = _grouped_layers(draw, sizes[2:])
    x = draw.normal(n_texts, n_tokens, n_heads * d_head)
    cotangent = draw.normal(*x.shape)
    expected = long_oracles.grouped_query_gradients(
        x, weights, n_heads, n_kv_heads, cotangent, mask
    )
    judge = gradients_are(expected, "float64", {"argument 0": "x"})
    given = {"x": x, "weights": weights, "mask": mask, "cotangents": [cotangent]}
    return _grouped_case(draw, sizes, judge=judge, **given)


@grouped_query_attention.edge(
    "a query with nothing to attend to gets the bias of out, with finite gradients",
    hint="masked_attention gives it zeros, and then comes .out",
)
def grouped_empty_rows(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    sizes = (2, n_tokens, 6, 2, d_head)
    mask = draw.mask(n_tokens, n_tokens)
    mask[1] = False
    yield _grouped_case(draw, sizes, mask=mask)
    yield _grouped_gradient_case(draw, sizes, mask)
    empty_text = draw.mask(2, 1, n_tokens)
    empty_text[1] = False
    yield _grouped_case(draw, sizes, mask=empty_text)


def _grouped_refusal(draw: Draw, d_model: int, n_heads: int, n_kv_heads: int, *mentions: str):
    x = draw.normal(2, 3, d_model)
    case = grouped_query_attention.build(d_model, n_heads, n_kv_heads, x=x, weights={})
    return case.expect(raises("ValueError", *mentions))


@grouped_query_attention.edge(
    "n_heads does not divide d_model: ValueError naming n_heads and its value",
    hint="look at the remainder, d_model % n_heads, before the layers are made",
)
def grouped_refuses_heads(draw: Draw):
    for n_heads, n_kv_heads in ((6, 2), (6, 6), (9, 1)):
        d_head = int(draw.integers(3, 9))
        for d_model in (n_heads * d_head + 1, 2 * n_heads - 1):
            yield _grouped_refusal(draw, d_model, n_heads, n_kv_heads, "n_heads", str(n_heads))


@grouped_query_attention.edge(
    "n_kv_heads does not divide n_heads: ValueError naming n_kv_heads and its value",
    hint="each head of keys serves as many heads as every other: n_heads % n_kv_heads is 0",
)
def grouped_refuses_kv_heads(draw: Draw):
    (d_head,) = draw.sizes(1)
    for n_heads, n_kv_heads in ((6, 4), (6, 5), (9, 2), (4, 8)):
        yield _grouped_refusal(
            draw, n_heads * d_head, n_heads, n_kv_heads, "n_kv_heads", str(n_kv_heads)
        )
    yield _grouped_refusal(draw, 24, 6, 4, "n_kv_heads", "4")  # 4 divides 24, but not 6


@grouped_query_attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="make no tensor of a fixed dtype inside forward",
)
def grouped_half(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        for mask in (None, np.tri(n_tokens, dtype=bool)):
            yield _grouped_case(draw, (2, n_tokens, 6, 2, d_head), mask=mask, dtype=dtype)


@grouped_query_attention.edge(
    "x and mask are not changed, and every tensor is made on their device",
    hint="device=x.device for what you make yourself",
)
def grouped_leaves_inputs(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for n_texts in (None, 2):
        mask = draw.mask(*([n_texts, 1] if n_texts else [n_tokens]), n_tokens)
        for judge, watch in ((arguments_unchanged(SEEN_BY), False), (same_device, True)):
            yield _grouped_case(
                draw, (2, n_tokens, 6, 2, d_head), mask=mask, judge=judge, watch_devices=watch
            )
