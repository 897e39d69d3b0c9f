"""What must hold of `attention_numpy`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, returns
from ...oracles import attention as oracles
from .fixtures import (
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

attention_numpy = ComponentCheck("attention_numpy", "attention", LESSON, dtype="numpy")


@attention_numpy.core(
    "the weights of a query must sum to 1 over the keys",
    hint="a softmax, over the axis that holds the things a query chooses among",
)
def attention_numpy_sums(draw: Draw):
    q, k, v = qkv(draw)
    judge = also(
        returns(*oracles.attention(q, k, v), dtype="numpy", names=RESULT, skip_values=True),
        rows_sum_to_one("numpy", part=1),
    )
    yield attention_numpy.call(q, k, v, names=QKV).expect(judge)


@attention_numpy.core(
    "output = softmax(q kᵀ / sqrt(D)) v, with one row for each query",
    hint="compare the shapes on paper first: scores are (T, S), D is the last axis of q",
    fits=("shape", "raised"),
)
def attention_numpy_values(draw: Draw):
    for scale in (1.0, 3.0):
        yield attends(attention_numpy, *qkv(draw, scale=scale), "numpy")
    n = draw.sizes(1)[0]
    square = [draw.normal(n, n) for _ in range(3)]
    yield attends(attention_numpy, *square, "numpy")
    for n_queries, n_keys, d_head, d_value in ((1, 1, 1, 1), (3, 5, 7, 2)):
        shapes = ((n_queries, d_head), (n_keys, d_head), (n_keys, d_value))
        yield attends(attention_numpy, *[draw.normal(*shape) for shape in shapes], "numpy")


@attention_numpy.edge(
    "scores in the thousands give weights, not nan",
    hint="use the softmax of this lesson",
    fits=("not finite",),
)
def attention_numpy_stable(draw: Draw):
    yield attends(attention_numpy, *qkv(draw, scale=3e3), "numpy")


@attention_numpy.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="the highest score of each row itself is what to subtract: it may be far below 0",
    fits=("not finite",),
)
def attention_numpy_one_sided(draw: Draw):
    q, k, v = one_sided(draw, "float64", SMALL)
    for queries in (q, q[:1]):
        tolerance = of_one_side("numpy", SMALL)
        yield attends(attention_numpy, queries, k, v, "numpy", tolerance=tolerance)


@attention_numpy.edge(
    "q, k and v are not changed",
    hint="scores /= … is safe on your own array only",
    fits=("changed",),
)
def attention_numpy_leaves_inputs(draw: Draw):
    yield attention_numpy.call(*qkv(draw), names=QKV).expect(arguments_unchanged(QKV))


@attention_numpy.asked(
    "real sizes",
    "thousands of keys share a weight of 1",
    hint="the softmax of this lesson, over the whole row",
)
def attention_numpy_of_real_size(draw: Draw):
    yield attends(attention_numpy, *many_keys(draw, "float64"), "numpy")


@attention_numpy.nothing_to_do
def attention_numpy_to_one_key(draw: Draw):
    yield attention_numpy.call(draw.normal(3, 5), draw.normal(1, 5), draw.normal(1, 7), names=QKV)


@attention_numpy.asked(
    "real sizes",
    "a thousand queries, or keys, and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def attention_numpy_of_many_rows(draw: Draw):
    for q, k, v in many_rows(draw):
        yield attends(attention_numpy, q, k, v, "numpy")
