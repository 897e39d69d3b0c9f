"""What must hold of lesson 3: masks, a softmax that obeys them, a head that looks back only."""

from functools import partial

import numpy as np
import torch

from ..cases.check import ComponentCheck, Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    raises,
    returns,
    same_device,
)
from ..judges.findings import Finding, number
from ..judges.tolerances import NO_INFLUENCE, Tolerance
from ..observe.given import fixtures
from ..oracles import attention as oracles
from .attention import QKV, RESULT, add_head_properties, head_weights, rows_sum_to_one

LESSON = "03_causal_masking"
MASKED_CALL = ("scores", "mask")
ATTENTION_CALL = ("q", "k", "v", "mask")

causal_mask = ComponentCheck("causal_mask", "masking", LESSON)
padding_mask = ComponentCheck("padding_mask", "masking", LESSON)
masked_softmax = ComponentCheck("masked_softmax", "masking", LESSON)
masked_attention = ComponentCheck("masked_attention", "masking", LESSON)
causal_self_attention = ComponentCheck("CausalSelfAttention", "masking", LESSON)
future_influence = ComponentCheck("future_influence", "masking", LESSON)

THE_CALLS_DEVICE = {"device": True}  # replaced by the device under test when the call is made


# --- causal_mask ---


def _lower(n_queries: int, n_keys: int) -> np.ndarray:
    """NumPy's lower triangle, shifted so that the last query sees the last key."""
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


@causal_mask.core(
    "query t may attend to keys 0..t, and True means may attend",
    hint="row t may look at columns 0..t only",
)
def causal_mask_square(draw: Draw):
    for n in (4, *draw.sizes(2), 1, 130):
        yield causal_mask.call(n).expect(returns(_lower(n, n), dtype="float64"))


@causal_mask.core(
    "the queries are the last n_queries of the n_keys positions",
    hint="with 2 queries after 3 cached keys, the first query stands at position 3, not 0",
)
def causal_mask_with_cache(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((2, 5), (few, many), (1, many), (many, many)):
        expected = returns(_lower(n_queries, n_keys), dtype="float64")
        yield causal_mask.call(n_queries, n_keys).expect(expected)
        yield causal_mask.call(n_queries, n_keys=n_keys).expect(expected)


@causal_mask.edge(
    "fewer keys than queries: ValueError naming n_keys and its value",
    hint="compare n_keys with n_queries before you build anything",
)
def causal_mask_refuses(draw: Draw):
    few, many = sorted(draw.sizes(2))
    yield causal_mask.call(many, few).expect(raises("ValueError", "n_keys", str(few)))
    yield causal_mask.call(many + 1, many).expect(raises("ValueError", "n_keys", str(many)))


@causal_mask.edge("the mask is made on the given device", hint="torch.…(…, device=device)")
def causal_mask_device(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for args in ((few,), (few, many)):
        yield causal_mask.call(*args, device=THE_CALLS_DEVICE, watch_devices=True).expect(
            same_device
        )


# --- padding_mask ---


def _real_keys(lengths: np.ndarray, n_keys: int) -> np.ndarray:
    """Row by row, by hand."""
    rows = [[[position < length for position in range(n_keys)]] for length in lengths]
    return np.array(rows, dtype=bool)


@padding_mask.core(
    "text b has lengths[b] real keys, and one row of keys serves all its queries",
    hint="the result is (B, 1, S): the 1 is where the queries broadcast",
)
def padding_mask_values(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    by_hand = np.array([0, 2, 4])
    drawn = draw.integers(0, n_keys, n_texts)
    drawn[:3] = [n_keys, 0, 1]
    square = draw.integers(0, n_keys, n_keys)
    square[:2] = [1, n_keys]
    for lengths, size in ((by_hand, 4), (drawn, n_keys), (square, n_keys), (drawn[3:], n_keys + 2)):
        if len(lengths):
            yield padding_mask.call(lengths, size, names=["lengths"]).expect(
                returns(_real_keys(lengths, size), dtype="float64")
            )
    for lengths, size in (([1], 1), ([290, 0, 129], 300)):
        expected = returns(_real_keys(lengths, size), dtype="float64")
        yield padding_mask.call(np.array(lengths), size).expect(expected)


@padding_mask.edge(
    "a length outside 0..n_keys: ValueError naming lengths and the value",
    hint="test both ends: a negative length and one beyond n_keys",
)
def padding_mask_refuses(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    for wrong in (n_keys + 1, n_keys + 40, -1, -n_keys):
        lengths = draw.integers(0, n_keys, n_texts)
        lengths[int(draw.integers(0, n_texts - 1))] = wrong
        yield padding_mask.call(lengths, n_keys).expect(raises("ValueError", "lengths", str(wrong)))


@padding_mask.edge(
    "lengths of any integer type, unchanged, and the mask on their device",
    hint="torch.arange(n_keys, device=lengths.device)",
)
def padding_mask_leaves_lengths(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    lengths = draw.integers(0, n_keys, n_texts)
    lengths[0] = 0
    yield padding_mask.call(lengths, n_keys).expect(arguments_unchanged(["lengths"]))
    yield padding_mask.call(lengths, n_keys, watch_devices=True).expect(same_device)
    yield padding_mask.call(lengths.astype(np.int32), n_keys).expect(
        returns(_real_keys(lengths, n_keys), dtype="float64")
    )


# --- masked_softmax ---


def _softmax_case(scores, mask, dtype="float64", *, judge=None, **options):
    expected = oracles.masked_softmax(scores, mask)
    judge = judge or also(
        returns(expected, dtype=dtype), _zero_where_masked(mask, 0), _row_sums(mask, dtype, 0)
    )
    case = masked_softmax.call(scores, mask, dtype=dtype, names=MASKED_CALL, **options)
    return case.expect(judge)


def _zero_where_masked(mask, part: int):
    """Judge: not small, but 0: what is masked out can then have no effect at all."""

    def judge(seen):
        weights = seen.outputs[part].array
        leak = np.where(mask, 0.0, weights)
        if not leak.any():
            return None
        place = np.unravel_index(np.abs(leak).argmax(), leak.shape)
        return Finding(
            f"a masked key has a weight at {[int(i) for i in place]}",
            expected="exactly 0",
            got=number(leak[place]),
        )

    return judge


def _row_sums(mask, dtype: str, part: int):
    some = mask.any(axis=-1)
    if some.all():
        return rows_sum_to_one(dtype, part=part)
    return lambda seen: None  # empty rows sum to 0, which `returns` has compared


@masked_softmax.core(
    "softmax over the allowed keys: they sum to 1, and masked weights are 0",
    hint="a masked score must lose before the softmax, not after it",
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
)
def masked_softmax_hostile(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    for dtype in ("float64", "float32"):
        mask = draw.mask(n_queries, n_keys)
        scores = draw.normal(n_queries, n_keys, dtype=dtype)
        yield _softmax_case(exact_in(np.where(mask, scores, 6e4), dtype), mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, -6e4, 6e4), dtype), mask, dtype)


@masked_softmax.core("gradients reach the scores", hint="detach() and .data cut the way back")
def masked_softmax_gradients(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores, mask = draw.normal(2, n_queries, n_keys), draw.mask(n_queries, n_keys)
    cotangent = draw.normal(2, n_queries, n_keys)
    expected = oracles.masked_softmax_gradients(scores, mask, cotangent)
    judge = gradients_are(expected, "float64", {"argument 0": "scores"})
    yield _softmax_case(scores, mask, judge=judge, cotangents=[cotangent])


@masked_softmax.edge(
    "a row with nothing to attend to is all zeros, with a gradient of zeros",
    hint="0/0 is nan, and so is its gradient, even where a later line overwrites the value",
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
)
def masked_softmax_half(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        mask = draw.mask(n_queries, n_keys)
        scores = draw.normal(n_queries, n_keys, dtype=dtype)
        yield _softmax_case(scores, mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, scores, 6e4), dtype), mask, dtype)
        yield _softmax_case(exact_in(np.where(mask, -6e4, 6e4), dtype), mask, dtype)
        empty = mask.copy()
        empty[0] = False
        yield _softmax_case(scores, empty, dtype)


@masked_softmax.edge(
    "scores and mask are not changed, and every tensor is made on their device",
    hint="masked_fill makes a new tensor; masked_fill_ writes into the old one",
)
def masked_softmax_leaves_inputs(draw: Draw):
    n_queries, n_keys = draw.sizes(2)
    scores, mask = draw.normal(n_queries, n_keys), draw.mask(n_queries, n_keys)
    yield _softmax_case(scores, mask, judge=arguments_unchanged(MASKED_CALL))
    yield _softmax_case(scores, mask, judge=same_device, watch_devices=True)


# --- masked_attention ---


def _masked_qkv(draw: Draw, *lead: int, dtype="float64", scale=1.0):
    n_queries, n_keys, d_head, d_value = draw.sizes(4)
    q = exact_in(scale * draw.normal(*lead, n_queries, d_head), dtype)
    k = draw.normal(*lead, n_keys, d_head, dtype=dtype)
    return q, k, draw.normal(*lead, n_keys, d_value, dtype=dtype)


def _attention_case(q, k, v, mask, dtype="float64", *, judge=None, **options):
    expected = oracles.attention(q, k, v, mask)
    judge = judge or also(
        returns(*expected, dtype=dtype, names=RESULT),
        (lambda seen: None) if mask is None else _zero_where_masked(mask, 1),
    )
    return masked_attention.call(
        q, k, v, mask, dtype=dtype, names=ATTENTION_CALL, **options
    ).expect(judge)


@masked_attention.core(
    "without a mask it is attention, and so it is when the mask allows everything",
    hint="the default is mask=None",
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
    yield _attention_case(*square, _lower(n, n))
    yield _attention_case(*square, _lower(n, n), "float32")


@masked_attention.core(
    "a hostile future changes nothing, however large its scores",
    hint="a masked weight must be exactly 0, or a large value behind it comes through",
)
def masked_attention_hostile(draw: Draw):
    n, d_head, d_value = draw.sizes(3)
    mask = _lower(n, n)
    q, k, v = np.abs(draw.normal(n, d_head)) + 0.5, draw.normal(n, d_head), draw.normal(n, d_value)
    k[1:] = np.abs(k[1:]) * 2e3
    k[0] = -np.abs(k[0]) * 2e3
    v[1:] *= 1e6
    yield _attention_case(q, k, v, mask)


@masked_attention.core(
    "gradients reach q, k and v, and none crosses the mask",
    hint="item(), detach(), numpy() and no_grad() all cut the way back",
)
def masked_attention_gradients(draw: Draw):
    q, k, v = _masked_qkv(draw, 2)
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
    "q, k, v and mask are not changed, and every tensor is made on their device",
    hint="masked_fill makes a new tensor; device=q.device for what you make yourself",
)
def masked_attention_leaves_inputs(draw: Draw):
    q, k, v = _masked_qkv(draw, 2)
    mask = draw.mask(q.shape[-2], k.shape[-2])
    for allowed in (mask, None):
        yield _attention_case(q, k, v, allowed, judge=arguments_unchanged(ATTENTION_CALL))
        yield _attention_case(q, k, v, allowed, judge=same_device, watch_devices=True)


# --- CausalSelfAttention ---


@causal_self_attention.core(
    "no position sees a later one, however large it is",
    hint="the mask belongs between the scores and the softmax",
)
def causal_self_attention_hostile(draw: Draw):
    n_tokens, d_model, d_head = draw.sizes(3)
    weights = head_weights(draw, d_model, d_head)
    x = draw.normal(2, n_tokens, d_model)
    x[:, n_tokens // 2 :] *= 1e3
    expected = oracles.self_attention(x, weights, causal=True)

    def past_is_right(seen):
        finding = returns(expected, dtype="float64", skip_values=True)(seen)
        past = slice(0, n_tokens // 2)
        return finding or differs(
            seen.outputs[0].array[:, past], expected[:, past], Tolerance(1e-9, 1e-9)
        )

    yield causal_self_attention.build(d_model, d_head, x=x, weights=weights).expect(past_is_right)
    large = 1e3 * draw.normal(32, n_tokens, d_model)  # the first scores of some are far below 0
    judge = returns(
        oracles.self_attention(large, weights, causal=True),
        dtype="float64",
        tolerance=Tolerance(1e-7, 1e-6),  # scores of a million leave ten digits for the weights
    )
    yield causal_self_attention.build(d_model, d_head, x=large, weights=weights).expect(judge)


add_head_properties(causal_self_attention, causal=True)


# --- future_influence ---


def _influence_case(draw: Draw, kind: str, reach, *, judge=None, **options):
    n_positions, width = draw.sizes(2, largest=7)  # a Jacobian has the fourth power of entries
    seed = int(draw.integers(0, 2**31 - 1))
    spec = {
        "fixture": kind,
        "n_positions": n_positions,
        "width": width,
        "reach": reach,
        "seed": seed,
    }
    x = draw.normal(n_positions, width)
    expected = oracles.influence(fixtures.build(spec, torch.float64), x)
    right = also(returns(expected, dtype="float64"), _no_future(expected), _detached)
    return future_influence.influence(spec, x, **options).expect(judge(spec) if judge else right)


def _no_future(expected):
    causal = not np.triu(expected, 1).any()

    def judge(seen):
        above = np.triu(seen.outputs[0].array, 1)
        if causal and above.max() > NO_INFLUENCE:
            place = np.unravel_index(above.argmax(), above.shape)
            return Finding(
                f"a causal fn has influence at {[int(i) for i in place]}",
                expected=f"at most {NO_INFLUENCE}",
                got=number(above[place]),
            )
        return None

    return judge


def _detached(seen):
    if seen.outputs[0].requires_grad:
        return Finding("the result still hangs on the graph", expected="a detached tensor")
    return None


@future_influence.core(
    "entry [t, s] is the Frobenius norm of d fn(x)[t] / d x[s]",
    hint="a Jacobian block of (C, C) numbers becomes one: square, add, take the root",
)
def future_influence_values(draw: Draw):
    yield _influence_case(draw, "mixer", None)
    yield _influence_case(draw, "mixer", 1)


@future_influence.core(
    "nothing above the diagonal for a causal fn", hint="outputs in rows, inputs in columns"
)
def future_influence_causal(draw: Draw):
    yield _influence_case(draw, "mixer", 0)
    yield _influence_case(draw, "mixer", -1)


@future_influence.edge(
    "fn keeps the first axis and nothing else: its output may have another width and more axes",
    hint="sum over all axes but the two that count positions",
)
def future_influence_widening(draw: Draw):
    yield _influence_case(draw, "widening", 0)
    yield _influence_case(draw, "widening", None)


@future_influence.edge(
    "x and the .grad of every parameter stay as they were",
    hint="torch.autograd.grad returns gradients; backward() adds them to .grad",
)
def future_influence_leaves_gradients(draw: Draw):
    def judge(spec, x_requires_grad):
        fn = fixtures.build(spec, torch.float64)
        held = [parameter.grad.numpy() for parameter in fn.parameters()]

        def keeps(seen):
            finding = no_error(seen)
            if finding:
                return finding
            if seen.changed:
                return Finding("x or a parameter was changed in place")
            for n, gradient in enumerate(seen.kept_gradients[1:]):
                if gradient is None or not np.array_equal(gradient, held[n]):
                    return Finding(
                        "the .grad of a parameter of fn was changed",
                        expected=f"all entries {number(held[n].flat[0])}, as before the call",
                        got="None" if gradient is None else number(gradient.flat[0]),
                    )
            own = seen.kept_gradients[0]
            if own is not None and not (own == 1).all():
                return Finding("x.grad was changed", expected="1", got=number(own.flat[0]))
            if seen.flag("x_requires_grad") is not x_requires_grad:
                return Finding(
                    "x.requires_grad was switched",
                    expected=str(x_requires_grad),
                    got=str(seen.flag("x_requires_grad")),
                )
            if seen.flag("parameters_still_train") is not True:
                return Finding("a parameter of fn no longer requires gradients")
            return None

        return keeps

    for x_requires_grad in (False, True):
        yield _influence_case(
            draw,
            "mixer",
            None,
            judge=partial(judge, x_requires_grad=x_requires_grad),
            x_requires_grad=x_requires_grad,
        )


@future_influence.edge(
    "float32 in, float32 out, detached, also when x requires gradients", hint="x.detach()"
)
def future_influence_dtype(draw: Draw):
    yield _influence_case(draw, "mixer", 0, x_requires_grad=True)

    def judge(spec):
        shape = (spec["n_positions"],) * 2
        return also(returns(np.zeros(shape), dtype="float32", skip_values=True), _detached)

    yield _influence_case(draw, "mixer", None, judge=judge, dtype="float32")
