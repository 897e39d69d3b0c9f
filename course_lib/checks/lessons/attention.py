"""What must hold of lesson 2: softmax, attention in NumPy and torch, one head of self-attention."""

import numpy as np

from ..cases.check import ComponentCheck
from ..cases.draw import Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    no_error,
    parameters_are,
    returns,
    same_device,
)
from ..judges.findings import Finding, number
from ..judges.tolerances import ROW_SUM
from ..oracles import attention as oracles

LESSON = "02_self_attention"
QKV = ("q", "k", "v")
RESULT = ("output", "weights")

softmax = ComponentCheck("softmax", "attention", LESSON, dtype="numpy")
attention_numpy = ComponentCheck("attention_numpy", "attention", LESSON, dtype="numpy")
attention = ComponentCheck("attention", "attention", LESSON)
self_attention = ComponentCheck("SelfAttention", "attention", LESSON)


def rows_sum_to_one(dtype: str, *, part: int, axis: int = -1, over: str = "the keys"):
    """Judge: the weights add up to 1 along `axis`; says so when the other axis does instead."""

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        weights = seen.outputs[part].array
        sums = weights.sum(axis=axis)
        wrong = ~(np.abs(sums - 1) <= ROW_SUM[dtype])
        if not wrong.any():
            return None
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        details = ()
        if weights.ndim > 1 and np.allclose(weights.sum(axis=-2), 1) and axis == -1:
            details = ("your columns sum to 1: the softmax ran over the queries (axis -2)",)
        return Finding(
            f"the weights at {list(place)} do not sum to 1 over {over}",
            expected="1",
            got=number(sums[place]),
            details=details,
        )

    return judge


# --- softmax ---


@softmax.core(
    "softmax(x)_i is exp(x_i) over the sum of all exp(x_j) along the axis",
    hint="exponentiate, then divide by the sum along `axis`, kept as an axis of length 1",
)
def softmax_values(draw: Draw):
    a, b, c = draw.sizes(3)
    for x in (draw.normal(a), 2 * draw.normal(a, b), draw.normal(a, b, c)):
        yield softmax.call(x).expect(returns(oracles.softmax(x, -1), dtype="numpy"))
    x = draw.normal(a, b, c)
    for axis in (0, 1, 2, -2):
        yield softmax.call(x, axis=axis).expect(returns(oracles.softmax(x, axis), dtype="numpy"))
    square = draw.normal(a, a)
    yield softmax.call(square, axis=0).expect(returns(oracles.softmax(square, 0), dtype="numpy"))


@softmax.core(
    "entries as large as 1e4 neither overflow nor give nan",
    hint="subtracting the same number from a whole row changes no weight: which number helps?",
)
def softmax_stable(draw: Draw):
    a, b = draw.sizes(2)
    up = draw.normal(a, b) + 1e4
    down = draw.normal(a, b) - 1e4
    rows_apart = draw.normal(a, b) + np.where(np.arange(a) == 1, 1e4, 0.0)[:, None]
    spread = 1e4 * np.sign(draw.normal(a, b)) + draw.normal(a, b)
    for x in (up, down, rows_apart, spread):
        yield softmax.call(x).expect(returns(oracles.softmax(x, -1), dtype="numpy"))
        columns = np.ascontiguousarray(x.T)
        yield softmax.call(columns, axis=0).expect(
            returns(oracles.softmax(columns, 0), dtype="numpy")
        )


@softmax.edge(
    "an entry of -inf gets a weight of exactly 0",
    hint="exp(-inf) is 0 already; only -inf minus -inf is nan",
)
def softmax_minus_infinity(draw: Draw):
    a, b = draw.sizes(2)
    x = np.where(_hidden(draw, a, b), -np.inf, draw.normal(a, b))
    for entries in (x, x - 1e4):
        judge = also(returns(oracles.softmax(entries, -1), dtype="numpy"), _exact_zeros(x))
        yield softmax.call(entries).expect(judge)
    x = x.T.copy()
    yield softmax.call(x, axis=0).expect(returns(oracles.softmax(x, 0), dtype="numpy"))


def _hidden(draw: Draw, a: int, b: int) -> np.ndarray:
    """True in places, never in a whole row or column: the wrong axis gives numbers too, not nan."""
    n = min(a, b)
    kept = np.arange(a)[:, None] % n == np.arange(b) % n
    hidden = ~draw.mask(a, b) & ~kept
    hidden[0, 1] = True
    return hidden


def _exact_zeros(x):
    def judge(seen):
        weights = seen.outputs[0].array
        if (weights[np.isneginf(x)] == 0).all():
            return None
        worst = np.abs(weights[np.isneginf(x)]).max()
        return Finding("an entry of -inf has a weight", expected="exactly 0", got=number(worst))

    return judge


@softmax.edge(
    "x itself is not changed", hint="x -= … writes into the caller's array; x - … does not"
)
def softmax_leaves_x(draw: Draw):
    a, b = draw.sizes(2)
    x = draw.normal(a, b)
    for entries in (x, np.where(_hidden(draw, a, b), -np.inf, x)):
        yield softmax.call(entries).expect(arguments_unchanged(["x"]))


# --- attention_numpy ---


def _qkv(draw: Draw, *lead: int, dtype: str = "float64", scale: float = 1.0):
    """q, k, v with pairwise different odd T, S, D, E after the leading axes."""
    n_queries, n_keys, d_head, d_value = draw.sizes(4)
    q = exact_in(scale * draw.normal(*lead, n_queries, d_head), dtype)
    k = draw.normal(*lead, n_keys, d_head, dtype=dtype)
    return q, k, draw.normal(*lead, n_keys, d_value, dtype=dtype)


def _attends(check: ComponentCheck, q, k, v, dtype: str):
    expected = oracles.attention(q, k, v)
    return check.call(q, k, v, names=QKV, dtype=dtype).expect(
        returns(*expected, dtype=dtype, names=RESULT)
    )


@attention_numpy.core(
    "the weights of a query must sum to 1 over the keys",
    hint="which axis holds the things a query chooses among?",
)
def attention_numpy_sums(draw: Draw):
    q, k, v = _qkv(draw)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="numpy", names=RESULT, skip_values=True),
        rows_sum_to_one("numpy", part=1),
    )
    yield attention_numpy.call(q, k, v, names=QKV).expect(judge)


@attention_numpy.core(
    "output = softmax(q kᵀ / sqrt(D)) v, with one row for each query",
    hint="compare the shapes on paper first: scores are (T, S), D is the last axis of q",
)
def attention_numpy_values(draw: Draw):
    for scale in (1.0, 3.0):
        yield _attends(attention_numpy, *_qkv(draw, scale=scale), "numpy")
    n = draw.sizes(1)[0]
    square = [draw.normal(n, n) for _ in range(3)]
    yield _attends(attention_numpy, *square, "numpy")
    for n_queries, n_keys, d_head, d_value in ((1, 1, 1, 1), (3, 5, 7, 2)):
        shapes = ((n_queries, d_head), (n_keys, d_head), (n_keys, d_value))
        yield _attends(attention_numpy, *[draw.normal(*shape) for shape in shapes], "numpy")


@attention_numpy.edge(
    "scores in the thousands give weights, not nan", hint="use the softmax of this lesson"
)
def attention_numpy_stable(draw: Draw):
    yield _attends(attention_numpy, *_qkv(draw, scale=3e3), "numpy")


@attention_numpy.edge(
    "q, k and v are not changed", hint="scores /= … is safe on your own array only"
)
def attention_numpy_leaves_inputs(draw: Draw):
    yield attention_numpy.call(*_qkv(draw), names=QKV).expect(arguments_unchanged(QKV))


# --- attention ---


@attention.core(
    "the weights of a query must sum to 1 over the keys",
    hint="which axis holds the things a query chooses among?",
)
def attention_sums(draw: Draw):
    q, k, v = _qkv(draw, 2)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="float64", names=RESULT, skip_values=True),
        rows_sum_to_one("float64", part=1),
    )
    yield attention.call(q, k, v, names=QKV).expect(judge)


@attention.core(
    "output = softmax(q kᵀ / sqrt(D)) v for every leading index by itself",
    hint="transpose the last two axes only, and take D from the last axis of q",
)
def attention_values(draw: Draw):
    for lead in ((), (2,), (2, 4), (3, 3)):
        yield _attends(attention, *_qkv(draw, *lead), "float64")
    n = draw.sizes(1)[0]
    yield _attends(attention, *[draw.normal(n, n, n) for _ in range(3)], "float64")
    yield _attends(
        attention, draw.normal(1, 1, 3), draw.normal(1, 5, 3), draw.normal(1, 5, 1), "float64"
    )
    yield _attends(attention, *_qkv(draw, 2), "float32")


@attention.core(
    "gradients reach q, k and v",
    hint="item(), detach(), numpy() and no_grad() all cut the way back",
)
def attention_gradients(draw: Draw):
    q, k, v = _qkv(draw, 2)
    output, weights = oracles.attention(q, k, v)
    cotangents = [draw.normal(*output.shape), draw.normal(*weights.shape)]
    expected = oracles.attention_gradients(q, k, v, cotangents)
    labels = {f"argument {n}": name for n, name in enumerate(QKV)}
    yield attention.call(q, k, v, names=QKV, cotangents=cotangents).expect(
        gradients_are(expected, "float64", labels)
    )


@attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="a Python number keeps the dtype of a tensor; a new float32 tensor does not",
)
def attention_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield _attends(attention, *_qkv(draw, 2, dtype=dtype), dtype)


@attention.edge("scores in the thousands give weights, not nan", hint="tensor.softmax is stable")
def attention_stable(draw: Draw):
    q, k, v = _qkv(draw, 2, dtype="float32", scale=3e3)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="float32", names=RESULT, skip_values=True),
        rows_sum_to_one("float32", part=1),
    )
    yield attention.call(q, k, v, names=QKV, dtype="float32").expect(judge)


@attention.edge("q, k and v are not changed", hint="scores /= … is safe on your own tensor only")
def attention_leaves_inputs(draw: Draw):
    yield attention.call(*_qkv(draw, 2), names=QKV).expect(arguments_unchanged(QKV))


@attention.edge("every tensor is made on the device of the inputs", hint="pass device=q.device")
def attention_device(draw: Draw):
    yield attention.call(*_qkv(draw, 2), names=QKV, watch_devices=True).expect(same_device)


# --- SelfAttention ---


def head_weights(draw: Draw, d_model: int, d_head: int, dtype: str = "float64") -> dict:
    """Weights of one head, by the names of `state_dict`."""
    return {
        f"{name}.weight": exact_in(draw.normal(d_head, d_model) / np.sqrt(d_model) * 1.5, dtype)
        for name in ("query", "key", "value")
    }


def one_head(
    check: ComponentCheck, draw: Draw, lead=(), *, causal, dtype="float64", sizes=None, **options
):
    """A head with drawn weights over a drawn text; right when it agrees with torch's attention."""
    n_tokens, d_model, d_head = sizes or draw.sizes(3)
    weights = head_weights(draw, d_model, d_head, dtype)
    x = draw.normal(*lead, n_tokens, d_model, dtype=dtype)
    earlier = [draw.normal(*lead, n, d_model, dtype=dtype) for n in options.pop("warm_up", ())]
    expected = oracles.self_attention(x, weights, causal=causal)
    return check.build(
        d_model, d_head, x=x, weights=weights, dtype=dtype, warm_up=earlier, **options
    ).expect(also(_shapes_of(weights), returns(expected, dtype=dtype)))


def _shapes_of(weights):
    return parameters_are({name: array.shape for name, array in weights.items()})


def add_head_properties(check: ComponentCheck, *, causal: bool) -> None:
    """What `SelfAttention` and its causal sister have in common."""

    @check.core(
        "the parameters are query, key and value: nn.Linear(d_model, d_head, bias=False)",
        hint="self.query = nn.Linear(d_model, d_head, bias=False), and so on",
    )
    def parameters(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(n_tokens, d_model)
        yield check.build(d_model, d_head, x=x, weights=weights).expect(_shapes_of(weights))

    @check.core(
        "every position gathers values with the weights of its own query"
        + (", from itself and earlier positions" if causal else ""),
        hint="the scale is the square root of d_head"
        + (", and position t may read positions 0..t" if causal else ""),
    )
    def values(draw: Draw):
        for lead in ((), (2,), (3, 3)):
            yield one_head(check, draw, lead, causal=causal)
        n_tokens, width = draw.sizes(2)
        yield one_head(check, draw, causal=causal, sizes=(n_tokens, width, width))
        yield one_head(check, draw, (width,), causal=causal, sizes=(width, width, width))
        yield one_head(check, draw, (1,), causal=causal, sizes=(1, n_tokens, width))
        yield one_head(check, draw, causal=causal, sizes=(70, n_tokens, width))
        yield one_head(check, draw, (2,), causal=causal, dtype="float32")

    @check.core(
        "the same in training as in evaluation, whatever texts came before",
        hint="make the mask anew for every x" if causal else "forward keeps nothing between calls",
    )
    def modes(draw: Draw):
        short, long, d_model, d_head = sorted(draw.sizes(4))
        yield one_head(check, draw, (2,), causal=causal, training=True)
        for now, before in ((short, long), (long, short)):
            sizes = (now, d_model, d_head)
            yield one_head(check, draw, (2,), causal=causal, sizes=sizes, warm_up=[before])

    @check.core(
        "gradients reach x and every weight", hint="detach() and no_grad() cut the way back"
    )
    def gradients(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(2, n_tokens, d_model)
        cotangent = draw.normal(2, n_tokens, d_head)
        expected = oracles.self_attention_gradients(x, weights, cotangent, causal=causal)
        yield check.build(d_model, d_head, x=x, weights=weights, cotangents=[cotangent]).expect(
            gradients_are(expected, "float64", {"argument 0": "x"})
        )

    @check.edge(
        "half precision in, half precision out, and close to the exact result",
        hint="make no tensor of a fixed dtype inside forward",
    )
    def half(draw: Draw):
        for dtype in ("bfloat16", "float16"):
            yield one_head(check, draw, (2,), causal=causal, dtype=dtype)

    @check.edge("x is not changed, and every tensor is made on its device", hint="device=x.device")
    def leaves_x(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(2, n_tokens, d_model)
        yield check.build(d_model, d_head, x=x, weights=weights).expect(arguments_unchanged(["x"]))
        yield check.build(d_model, d_head, x=x, weights=weights, watch_devices=True).expect(
            same_device
        )


add_head_properties(self_attention, causal=False)
