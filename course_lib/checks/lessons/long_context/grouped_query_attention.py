"""What must hold of `GroupedQueryAttention`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import Filled, Rule, gradient_case, module_properties
from ...judges.expect import (
    also,
    parameters_are,
    raises,
    returns,
)
from ...judges.tolerances import Tolerance
from ...oracles import long_context as long_oracles
from ...oracles import multihead as oracles
from ...oracles.tensors import given
from ..attention.fixtures import (
    LARGE,
    SMALL,
    WIDTH,
    of_one_side,
    one_sided_head,
    one_sided_text,
)
from .fixtures import LESSON

SEEN_BY = ("x", "mask")

grouped_query_attention = ComponentCheck("GroupedQueryAttention", "long_context", LESSON)


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
    "query head h reads key head h // (n_heads // n_kv_heads), and out mixes what they found",
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
    fits=("shape", "raised"),
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
    hint="pass it on: (T, S) broadcasts to (B, H, T, S) by itself",
)
def grouped_one_mask(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    for mask in (draw.mask(n_tokens, n_tokens), np.tri(n_tokens, dtype=bool)):
        yield _grouped_case(draw, (2, n_tokens, 6, 2, d_head), mask=mask)
        yield _grouped_case(draw, (2, n_tokens, 3, 1, d_head), mask=mask)
    yield _grouped_case(draw, (6, 6, 6, 3, d_head), mask=draw.mask(6, 6))
    yield _grouped_case(draw, (n_tokens, n_tokens, 6, 3, d_head), mask=np.tri(n_tokens, dtype=bool))


@grouped_query_attention.core(
    "in a mask (B, T, S) or (B, 1, S), text b has its own, shared by all heads",
    hint="scores are (B, H, T, S): give the mask an axis for the heads, of length 1",
    fits=("shape", "raised"),
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


@grouped_query_attention.edge(
    "a query with nothing to attend to gets the bias of out, with finite gradients",
    hint="masked_attention gives it zeros, and then comes .out",
    fits=("not finite",),
)
def grouped_empty_rows(draw: Draw):
    n_tokens, d_head = draw.sizes(2)
    sizes = (2, n_tokens, 6, 2, d_head)
    mask = draw.mask(n_tokens, n_tokens)
    mask[1] = False
    yield _grouped_case(draw, sizes, mask=mask)
    filled = _filled(draw, 2, d_head, [n_tokens, mask])
    oracle = long_oracles.grouped_query_of
    yield gradient_case(grouped_query_attention, filled, draw, oracle, names=SEEN_BY)
    empty_text = draw.mask(2, 1, n_tokens)
    empty_text[1] = False
    yield _grouped_case(draw, sizes, mask=empty_text)


def _grouped_refusal(draw: Draw, d_model: int, n_heads: int, n_kv_heads: int, *mentions: str):
    x = draw.normal(2, 3, d_model)
    case = grouped_query_attention.build(d_model, n_heads, n_kv_heads, x=x, weights={})
    return case.expect(raises("ValueError", *mentions))


@grouped_query_attention.edge(
    "n_heads does not divide d_model: ValueError",
    hint="look at the remainder, d_model % n_heads, before the layers are made",
)
def grouped_refuses_heads(draw: Draw):
    for n_heads, n_kv_heads in ((6, 2), (6, 6), (9, 1)):
        d_head = int(draw.integers(3, 9))
        for d_model in (n_heads * d_head + 1, 2 * n_heads - 1):
            yield _grouped_refusal(draw, d_model, n_heads, n_kv_heads, "n_heads", str(n_heads))


@grouped_query_attention.edge(
    "n_kv_heads does not divide n_heads: ValueError",
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
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="masked_attention of lesson 3 does it: the highest score of a row may be far below 0",
    fits=("not finite",),
)
def grouped_one_sided(draw: Draw):
    sizes = (1, 7, 2, 1, WIDTH)
    for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
        x = one_sided_text(draw, dtype, 2 * WIDTH)[None]
        weights = _grouped_layers(draw, sizes[2:], dtype=dtype)
        for head, sign in enumerate((1.0, -1.0)):
            one_sided_head(weights["query.weight"], head * WIDTH, 0, sign * size)
        one_sided_head(weights["key.weight"], 0, 1, 1.0)
        weights["query.bias"][:] = weights["key.bias"][:] = 0.0
        weights["value.weight"][:, :2] = 0.0
        for mask in (None, np.tri(7, dtype=bool)):
            expected = long_oracles.grouped_query(x, weights, 2, 1, mask)
            judge = returns(expected, dtype=dtype, tolerance=of_one_side(dtype, size))
            options = {"x": x, "weights": weights, "mask": mask, "judge": judge}
            yield _grouped_case(draw, sizes, dtype=dtype, **options)


@grouped_query_attention.asked(
    "real sizes",
    "a text of hundreds of tokens is read as a short one is",
    hint="make nothing whose size is fixed; what works in blocks has a rest after the last",
)
def grouped_of_real_size(draw: Draw):
    for n_tokens, n_heads, d_head in ((257, 6, 4), (1031, 2, 2)):
        mask = np.tri(n_tokens, dtype=bool)
        sizes = (1, n_tokens, n_heads, n_heads // 2, d_head)
        yield _grouped_case(draw, sizes, mask=mask, dtype="float32")
    yield _grouped_case(draw, (1031, 2, 2, 1, 2), dtype="float32")


def _filled(draw: Draw, n_kv_heads, d_head, *texts, bias=True, dtype="float64") -> Filled:
    """Six heads, and texts of which the last come before: how many tokens, and mask."""
    d_model = 6 * d_head
    weights = _grouped_layers(draw, (6, n_kv_heads, d_head), bias=bias, dtype=dtype)
    inputs = [
        [draw.normal(2, n_tokens, d_model, dtype=dtype), *given(mask)] for n_tokens, mask in texts
    ]
    init_kwargs = {} if bias else {"bias": False}
    settings = {"n_heads": 6, "n_kv_heads": n_kv_heads}
    init = [d_model, *settings.values()]
    return Filled(init, weights, inputs[0], inputs[-1], init_kwargs, settings=settings)


def _any_grouped(draw: Draw, dtype: str):
    short, long, d_head = sorted(draw.sizes(3))
    mask, causal = draw.mask(long, long), np.tri(long, dtype=bool)
    yield _filled(draw, 2, d_head, [short, None], [long, None], dtype=dtype)
    yield _filled(draw, 1, d_head, [long, None], [long, mask], bias=False, dtype=dtype)
    yield _filled(draw, 6, d_head, [long, causal], [long, mask], dtype=dtype)
    yield _filled(draw, 2, d_head, [long, draw.mask(2, 1, long)], [short, None], dtype=dtype)


module_properties(
    grouped_query_attention,
    _any_grouped,
    oracle=long_oracles.grouped_query_of,
    names=SEEN_BY,
    parameters=Rule(
        "the parameters: query and out, C -> C, key and value, C -> n_kv_heads·D; bias=False: none",
        hint="query, key, value, out: four layers; D = C / n_heads; bias=False: none has one",
        fits=("names", "not learned", "raised"),
    ),
    modes=Rule(
        "training is as evaluation, whatever texts came before",
        hint="forward keeps nothing between calls",
    ),
    gradients=Rule(
        "gradients reach x and every weight, and none crosses the mask",
    ),
    leaves_inputs=Rule(
        "x and mask are not changed, and every tensor is made on their device",
        hint="device=x.device for what you make yourself",
        fits=("device",),
    ),
)
