"""What must hold of `attention`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.module_properties import IN_HALF
from ...judges.expect import also, arguments_unchanged, gradients_are, returns, same_device
from ...oracles import attention as oracles
from .fixtures import (
    LARGE,
    LESSON,
    QKV,
    RESULT,
    SMALL,
    attends,
    many_keys,
    many_rows,
    of_one_side,
    one_sided,
    qkv,
    rows_sum_to_one,
)

attention = ComponentCheck("attention", "attention", LESSON)


@attention.core(
    "the weights of a query must sum to 1 over the keys",
    hint="a softmax, over the axis that holds the things a query chooses among",
)
def attention_sums(draw: Draw):
    q, k, v = qkv(draw, 2)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="float64", names=RESULT, skip_values=True),
        rows_sum_to_one("float64", part=1),
    )
    yield attention.call(q, k, v, names=QKV).expect(judge)


@attention.core(
    "output = softmax(q kᵀ / sqrt(D)) v for every leading index by itself",
    hint="q @ k.mT over the root of q's last axis, then a softmax over the keys: each has a share",
)
def attention_values(draw: Draw):
    for lead in ((), (2,), (2, 4), (3, 3)):
        yield attends(attention, *qkv(draw, *lead), "float64")
    n = draw.sizes(1)[0]
    yield attends(attention, *[draw.normal(n, n, n) for _ in range(3)], "float64")
    yield attends(
        attention, draw.normal(1, 1, 3), draw.normal(1, 5, 3), draw.normal(1, 5, 1), "float64"
    )
    yield attends(attention, *qkv(draw, 2), "float32")


@attention.core(
    "gradients reach q, k and v",
)
def attention_gradients(draw: Draw):
    for lead in ((2,), (), (1, 3)):
        q, k, v = qkv(draw, *lead)
        output, weights = oracles.attention(q, k, v)
        cotangents = [draw.normal(*output.shape), draw.normal(*weights.shape)]
        expected = oracles.attention_gradients(q, k, v, cotangents)
        labels = {f"argument {n}": name for n, name in enumerate(QKV)}
        yield attention.call(q, k, v, names=QKV, cotangents=cotangents).expect(
            gradients_are(expected, "float64", labels)
        )


@attention.edge(
    "half precision in, half precision out, and close to the exact result",
    hint=IN_HALF,
)
def attention_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield attends(attention, *qkv(draw, 2, dtype=dtype), dtype)


@attention.edge(
    "scores in the thousands give weights, not nan",
    hint="tensor.softmax is stable",
    fits=("not finite",),
)
def attention_stable(draw: Draw):
    q, k, v = qkv(draw, 2, dtype="float32", scale=3e3)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="float32", names=RESULT, skip_values=True),
        rows_sum_to_one("float32", part=1),
    )
    yield attention.call(q, k, v, names=QKV, dtype="float32").expect(judge)


@attention.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="the highest score of each row itself is what to subtract: it may be far below 0",
    fits=("not finite",),
)
def attention_one_sided(draw: Draw):
    for dtype, size in (
        ("float64", LARGE),
        ("float32", LARGE),
        ("bfloat16", SMALL),
        ("float16", SMALL),
    ):
        texts = one_sided(draw, dtype, size, 2)
        yield attends(attention, *texts, dtype, tolerance=of_one_side(dtype, size))
        q, k, v = texts
        one_query = q[..., :1, :], k, v
        yield attends(attention, *one_query, dtype, tolerance=of_one_side(dtype, size))


@attention.edge(
    "q, k and v are not changed",
    hint="scores /= … is safe on your own tensor only",
    fits=("changed",),
)
def attention_leaves_inputs(draw: Draw):
    yield attention.call(*qkv(draw, 2), names=QKV).expect(arguments_unchanged(QKV))


@attention.edge(
    "every tensor is made on the device of the inputs",
    hint="pass device=q.device",
    fits=("device",),
)
def attention_device(draw: Draw):
    yield attention.call(*qkv(draw, 2), names=QKV, watch_devices=True).expect(same_device)


@attention.asked(
    "real sizes",
    "thousands of keys share a weight of 1, in half precision too",
    hint="let softmax add up: in bfloat16, a sum of your own stands still at 256",
)
def attention_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield attends(attention, *many_keys(draw, dtype), dtype)


@attention.nothing_to_do
def attention_to_one_key(draw: Draw):
    yield attention.call(
        draw.normal(2, 3, 5), draw.normal(2, 1, 5), draw.normal(2, 1, 7), names=QKV
    )


@attention.asked(
    "real sizes",
    "a thousand queries, or keys, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def attention_of_many_rows(draw: Draw):
    for q, k, v in many_rows(draw):
        yield attends(attention, q, k, v, "float64")
    q, k, v = draw.normal(1031, 2, 3), draw.normal(1031, 3, 3), draw.normal(1031, 3, 2)
    yield attends(attention, q, k, v, "float64")
