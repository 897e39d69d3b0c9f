"""What must hold of `MultiHeadAttention`."""

from dataclasses import replace

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import Filled, Rule, gradient_case, module_properties
from ...cases.slopes import slope_case
from ...judges.chance import BY_CHANCE, DROPOUT, dropped_together, share
from ...judges.expect import (
    also,
    differs,
    parameters_are,
    raises,
    returns,
)
from ...judges.findings import Finding
from ...judges.tolerances import Tolerance
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
from .fixtures import CALL, LESSON, MANY

multi_head_attention = ComponentCheck("MultiHeadAttention", "multihead", LESSON)


def attention_layers(
    draw: Draw, d_model: int, *, bias: bool = True, dtype: str = "float64"
) -> dict:
    """Weights by the names of `state_dict`, large enough that attention is far from even."""
    size = 0.6 if dtype in ("float16", "bfloat16") else 1.5  # rounding grows with the scores
    shapes = {"qkv": 3 * d_model, "out": d_model}
    weights = {
        f"{name}.weight": size * draw.normal(n_out, d_model) / np.sqrt(d_model)
        for name, n_out in shapes.items()
    }
    if bias:
        weights |= {f"{name}.bias": size * draw.normal(n_out) for name, n_out in shapes.items()}
    return {name: exact_in(array, dtype) for name, array in weights.items()}


def _heads_case(
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
    dropout=0.0,
    **options,
):
    """A layer with drawn weights over drawn texts; right when it agrees with torch's own.

    Args:
        sizes: how many texts, tokens, heads, and channels a head.
        judge: what must hold of the call besides its parameters, instead of its values.
    """
    n_texts, n_tokens, n_heads, d_head = sizes
    d_model = n_heads * d_head
    if weights is None:
        weights = attention_layers(draw, d_model, bias=bias, dtype=dtype)
    if x is None:
        x = draw.normal(n_texts, n_tokens, d_model, dtype=dtype)
    if judge is None:
        expected = oracles.multi_head(x, weights, n_heads, mask) if expected is None else expected
        judge = returns(expected, dtype=dtype)
    chosen = {"bias": bias} if not bias else {}
    return multi_head_attention.build(
        d_model,
        n_heads,
        x=x if mask is None else (x, mask),
        weights=weights,
        dtype=dtype,
        init_kwargs=chosen | ({"dropout": dropout} if dropout else {}),
        names=CALL,
        **options,
    ).expect(also(parameters_are({name: array.shape for name, array in weights.items()}), judge))


@multi_head_attention.core(
    "each head attends in its own channels, and out mixes what they found",
    hint="q, k, v in this order; split; scores / sqrt(D), softmax over the keys; merge; out",
)
def heads_values(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    yield _heads_case(draw, (2, n_tokens, n_heads, d_head))
    yield _heads_case(draw, (n_heads, n_tokens, n_heads, d_head))
    yield _heads_case(draw, (2, n_heads, n_heads, n_heads))
    yield _heads_case(draw, (2, n_tokens, n_heads, d_head), bias=False)
    yield _heads_case(draw, (2, n_tokens, n_heads, d_head), dtype="float32")
    for sizes in ((2, n_tokens, 1, d_head), (2, n_tokens, n_heads, 1), (1, 1, n_heads, d_head)):
        yield _heads_case(draw, sizes)


@multi_head_attention.core(
    "a mask (T, S) holds for every text and every head",
    hint="pass it on, None too (all may attend): (T, S) broadcasts to (B, H, T, S) by itself",
)
def heads_one_mask(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    mask = draw.mask(n_tokens, n_tokens)
    yield _heads_case(draw, (2, n_tokens, n_heads, d_head), mask=mask)
    causal = np.tri(n_tokens, dtype=bool)
    yield _heads_case(draw, (n_heads, n_tokens, n_heads, d_head), mask=causal)
    yield _heads_case(draw, (n_tokens, n_tokens, n_heads, d_head), mask=causal)
    yield _heads_case(draw, (n_tokens, n_tokens, n_heads, d_head), mask=mask)
    yield _heads_case(draw, (n_heads, n_heads, n_heads, d_head), mask=draw.mask(n_heads, n_heads))
    yield _heads_case(draw, (2, n_heads, n_heads, d_head), mask=draw.mask(n_heads, n_heads))


@multi_head_attention.core(
    "in a mask (B, T, S) or (B, 1, S), text b has its own, shared by all heads",
    hint="scores are (B, H, T, S): give the mask an axis for the heads, of length 1",
    fits=("shape", "raised"),
)
def heads_mask_of_each_text(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for n_texts in (n_heads, 2, 1):  # with B = H a missing axis is no error, only wrong
        for n_rows in (n_tokens, 1):
            mask = draw.mask(n_texts, n_rows, n_tokens)
            yield _heads_case(draw, (n_texts, n_tokens, n_heads, d_head), mask=mask)
    mask = draw.mask(n_heads, n_heads, n_heads)
    yield _heads_case(draw, (n_heads, n_heads, n_heads, d_head), mask=mask)


@multi_head_attention.core(
    "what is masked changes nothing, however low the scores that are left",
    hint="-1e4 is not minus infinity; masked_attention of lesson 3 hides for good",
)
def heads_hostile(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    d_model = n_heads * d_head
    weights = attention_layers(draw, d_model)
    x = 1e3 * draw.normal(4, n_tokens, d_model)
    mask = np.tri(n_tokens, dtype=bool)
    expected = oracles.multi_head(x, weights, n_heads, mask)
    tolerance = Tolerance(1e-7, 1e-6)  # scores of a million leave ten digits for the weights
    yield _heads_case(
        draw,
        (4, n_tokens, n_heads, d_head),
        x=x,
        weights=weights,
        mask=mask,
        judge=returns(expected, dtype="float64", tolerance=tolerance),
    )


@multi_head_attention.edge(
    "in training, dropout sets outputs to 0 and scales the others by 1 / (1 - p)",
    hint="twice, each number by itself: on the weights, and on the output, after .out",
)
def heads_dropout_on_the_output(draw: Draw):
    weights = _only_the_bias_speaks(draw)

    def dropped(seen):
        bias = weights["out.bias"]
        finding = returns(np.zeros((*MANY[:2], len(bias))), dtype="float64", skip_values=True)(seen)
        if finding:
            return finding
        output = seen.outputs[0].array
        is_zero = output == 0
        return (
            share("of the outputs are 0", is_zero, DROPOUT)
            or differs(output, np.where(is_zero, 0.0, bias / (1 - DROPOUT)), BY_CHANCE)
            or dropped_together("outputs", 1.0 * is_zero, ("texts", "positions", "channels"))
        )

    yield _heads_case(
        draw,
        MANY,
        weights=weights,
        judge=dropped,
        training=True,
        dropout=DROPOUT,
        random=True,
    )


def _only_the_bias_speaks(draw: Draw):
    """Weights with which all heads return 0, so that the output is the bias of out."""
    d_model = MANY[2] * MANY[3]
    weights = attention_layers(draw, d_model)
    of_values = slice(2 * d_model, None)
    weights["qkv.weight"][of_values] = 0
    weights["qkv.bias"][of_values] = 0
    weights["out.bias"] = 1.0 + draw.integers(0, 9, d_model) / 10
    return weights


@multi_head_attention.edge(
    "in training, dropout sets weights to 0 and scales the others by 1 / (1 - p)",
    hint="on what the softmax gives, not on the scores, with a mask as without one",
)
def heads_dropout_on_the_weights(draw: Draw):
    weights = outputs_count_weights()
    yield _heads_case(
        draw,
        MANY,
        weights=weights,
        judge=weights_were_dropped,
        training=True,
        dropout=DROPOUT,
        random=True,
    )
    n_texts, n_tokens, n_heads, d_head = MANY
    tokens = np.tile(np.eye(n_tokens, n_heads * d_head), (n_texts, 1, 1))
    values = np.ones_like(tokens) * (1 + np.arange(n_tokens)[:, None])
    yield _heads_case(
        draw,
        MANY,
        weights=_each_reads_itself(),
        x=tokens,
        mask=np.tri(n_tokens, dtype=bool),
        judge=_kept_or_dropped(values),
        training=True,
        dropout=DROPOUT,
        random=True,
    )


def outputs_count_weights():
    """Weights with which all keys weigh 1/S, every value is 1, and out changes nothing.

    A head's output is then how many of its weights survived, over S (1 - p).
    """
    d_model = MANY[2] * MANY[3]
    return {
        "qkv.weight": np.zeros((3 * d_model, d_model)),
        "qkv.bias": np.repeat([0.0, 0.0, 1.0], d_model),
        "out.weight": np.eye(d_model),
        "out.bias": np.zeros(d_model),
    }


def _each_reads_itself() -> dict:
    """Weights with which token t, the t-th unit vector, gives all its weight to itself: 1 + t.

    Queries and keys lie on a circle, far apart, so that all other weights are 0.
    """
    n_tokens, n_heads, d_head = MANY[1:]
    angles = 2 * np.pi * np.arange(n_tokens) / n_tokens
    on_a_circle = np.zeros((d_head, n_heads * d_head))
    on_a_circle[:2, :n_tokens] = 200 * np.array([np.cos(angles), np.sin(angles)])
    position = np.zeros((n_heads * d_head, n_heads * d_head))
    position[:, :n_tokens] = 1 + np.arange(n_tokens)
    of_heads = np.tile(on_a_circle, (n_heads, 1))
    return outputs_count_weights() | {
        "qkv.weight": np.concatenate([of_heads, of_heads, position]),
        "qkv.bias": np.zeros(3 * n_heads * d_head),
    }


def _kept_or_dropped(values: np.ndarray):
    """Judge: a number is 0, or scaled for both of the dropouts that have spared it."""

    def judge(seen):
        finding = returns(values, dtype="float64", skip_values=True)(seen)
        if finding:
            return finding
        output = seen.outputs[0].array
        whole = np.where(output == 0, 0.0, values / (1 - DROPOUT) ** 2)
        finding = differs(output, whole, BY_CHANCE)
        if finding:
            both = f"0, or {finding.expected}: scaled by 1 / (1 - p) twice, as weight and output"
            return replace(finding, expected=both)
        return share("of the outputs are 0", output == 0, 1 - (1 - DROPOUT) ** 2)

    return judge


def weights_were_dropped(seen):
    """Judge: each output is a whole number of weights, scaled for both dropouts, or 0."""
    n_texts, n_tokens, n_heads, d_head = MANY
    shape = (n_texts, n_tokens, n_heads * d_head)
    finding = returns(np.zeros(shape), dtype="float64", skip_values=True)(seen)
    if finding:
        return finding
    outputs = seen.outputs[0].array.reshape(MANY)
    counts = outputs * (1 - DROPOUT) ** 2 * n_tokens  # how many weights of a head survived
    survived = counts.max(axis=-1)  # the output's own dropout takes some channels
    survived[survived == 0] = np.nan  # or all of them
    known = survived[~np.isnan(survived)]
    if np.allclose(known, n_tokens * (1 - DROPOUT)):
        return Finding(
            "the weights sum to 1, as if none were dropped",
            expected=f"about {DROPOUT:g} of the weights are 0",
            got="none is",
        )
    whole = np.where(counts == 0, 0.0, np.round(survived)[..., None])
    if differs(counts, whole, BY_CHANCE):
        return Finding(
            "a head's output is not a sum of whole weights scaled by 1 / (1 - p)",
            expected="with equal weights, the same in all channels that are left",
        )
    finding = share("of the weights are 0", 1 - known / n_tokens, DROPOUT)
    return finding or dropped_together("weights", survived, ("texts", "queries", "heads"))


@multi_head_attention.edge(
    "with dropout, gradients reach the weights through the entries that were kept, and no others",
    hint="what is computed again on the way back must drop the same entries: keep what was drawn",
    fits=("gradient",),
)
def heads_slopes(draw: Draw):
    case = _heads_case(draw, (2, 5, 3, 3), dropout=DROPOUT, training=True)
    yield slope_case(case, draw, (2, 5, 9))


@multi_head_attention.edge(
    "in evaluation, dropout does nothing",
    hint="nn.Dropout knows the mode by itself; F.dropout and torch's attention must be told",
)
def heads_dropout_rests_in_evaluation(draw: Draw):
    for weights in (_only_the_bias_speaks(draw), outputs_count_weights()):
        yield _heads_case(draw, MANY, weights=weights, dropout=DROPOUT, random=True)


@multi_head_attention.edge(
    "a query with nothing to attend to gets the bias of out, with finite gradients",
    hint="masked_attention gives it zeros, and then comes .out",
    fits=("not finite",),
)
def heads_empty_rows(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    sizes = (2, n_tokens, n_heads, d_head)
    mask = draw.mask(n_tokens, n_tokens)
    mask[1] = False
    yield _heads_case(draw, sizes, mask=mask)
    filled = _filled(draw, n_heads, d_head, [n_tokens, mask])
    yield gradient_case(multi_head_attention, filled, draw, oracles.multi_head_of, names=CALL)
    empty_text = draw.mask(2, 1, n_tokens)
    empty_text[1] = False
    yield _heads_case(draw, sizes, mask=empty_text)
    yield _heads_case(draw, sizes, mask=empty_text, bias=False)
    one_token = np.array([True, False]).reshape(2, 1, 1)
    yield _heads_case(draw, (2, 1, n_heads, d_head), mask=one_token)


@multi_head_attention.edge(
    "n_heads does not divide d_model: ValueError",
    hint="look at the remainder, d_model % n_heads, before the layers are made",
)
def heads_refuses(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for d_model in (n_heads * d_head + 1, n_heads - 1):
        x = draw.normal(2, n_tokens, d_model)
        yield multi_head_attention.build(
            d_model, n_heads, x=x, weights=attention_layers(draw, d_model)
        ).expect(raises("ValueError", "n_heads", str(n_heads)))


@multi_head_attention.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="masked_attention of lesson 3 does it: the highest score of a row may be far below 0",
    fits=("not finite",),
)
def heads_one_sided(draw: Draw):
    for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
        weights, x = one_sided_layers(draw, dtype, size)
        expected = oracles.multi_head(x, weights, 2)
        judge = returns(expected, dtype=dtype, tolerance=of_one_side(dtype, size))
        yield _heads_case(draw, (1, 7, 2, WIDTH), x=x, weights=weights, dtype=dtype, judge=judge)
        causal = np.tri(7, dtype=bool)
        expected = oracles.multi_head(x, weights, 2, causal)
        judge = returns(expected, dtype=dtype, tolerance=of_one_side(dtype, size))
        given_mask = {"mask": causal, "judge": judge}
        yield _heads_case(draw, (1, 7, 2, WIDTH), x=x, weights=weights, dtype=dtype, **given_mask)


def one_sided_layers(draw: Draw, dtype: str, size: float):
    """Two heads, of which one's scores are far above 0 where the other's are far below; a text."""
    d_model = 2 * WIDTH
    weights = attention_layers(draw, d_model, dtype=dtype)
    qkv = weights["qkv.weight"]
    for head, sign in enumerate((1.0, -1.0)):
        one_sided_head(qkv, head * WIDTH, 0, sign * size)
        one_sided_head(qkv, d_model + head * WIDTH, 1, 1.0)
    weights["qkv.bias"][: 2 * d_model] = 0.0
    qkv[2 * d_model :, :2] = 0.0
    return weights, one_sided_text(draw, dtype, d_model)[None]


@multi_head_attention.asked(
    "real sizes",
    "a text of hundreds of tokens is read as a short one is",
    hint="make nothing whose size is fixed; what works in blocks has a rest after the last",
)
def heads_of_real_size(draw: Draw):
    for n_tokens, n_heads, d_head in ((257, 3, 8), (1031, 1, 2)):
        mask = np.tri(n_tokens, dtype=bool)
        yield _heads_case(draw, (1, n_tokens, n_heads, d_head), mask=mask, dtype="float32")
    yield _heads_case(draw, (1031, 2, 1, 2), dtype="float32")


def _filled(draw: Draw, n_heads, d_head, *texts, bias=True, dtype="float64") -> Filled:
    """A layer with drawn weights; of its texts, the last come before: how many tokens, and mask."""
    d_model = n_heads * d_head
    weights = attention_layers(draw, d_model, bias=bias, dtype=dtype)
    inputs = [
        [draw.normal(2, n_tokens, d_model, dtype=dtype), *given(mask)] for n_tokens, mask in texts
    ]
    init_kwargs = {} if bias else {"bias": False}
    settings = {"n_heads": n_heads}
    return Filled(
        [d_model, n_heads], weights, inputs[0], inputs[-1], init_kwargs, settings=settings
    )


def _any_heads(draw: Draw, dtype: str):
    short, long, n_heads, d_head = sorted(draw.sizes(4))
    sizes = n_heads, d_head
    mask, other = draw.mask(long, long), np.tri(long, dtype=bool)
    yield _filled(draw, *sizes, [short, None], [long, None], dtype=dtype)
    yield _filled(draw, *sizes, [long, None], [long, mask], bias=False, dtype=dtype)
    yield _filled(draw, *sizes, [long, other], [long, mask], dtype=dtype)
    yield _filled(draw, *sizes, [long, draw.mask(2, 1, long)], [short, None], dtype=dtype)


module_properties(
    multi_head_attention,
    _any_heads,
    oracle=oracles.multi_head_of,
    names=CALL,
    parameters=Rule(
        "the parameters are those of qkv, C -> 3C, and out, C -> C: nn.Linear each",
        hint="bias=False means that neither of the two has one",
        fits=("names", "not learned", "raised"),
    ),
    modes=Rule(
        "without dropout, training is as evaluation, whatever texts came before",
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
