"""What must hold of `merge_heads`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import arguments_unchanged, gradients_are, returns, same_device
from .fixtures import LESSON, dealt_out, joined, numbered

merge_heads = ComponentCheck("merge_heads", "multihead", LESSON)


def _merge_case(x, dtype="float64", *, judge=None, **options):
    judge = judge or returns(joined(x), dtype=dtype)
    return merge_heads.call(x, names=["x"], dtype=dtype, **options).expect(judge)


@merge_heads.core(
    "each position holds the channels of head 0, then those of head 1, and so on",
    hint="put H beside D first; only neighbouring axes can be joined",
    fits=("shape", "raised"),
)
def merge_heads_values(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    yield _merge_case(numbered(2, 2, 3))
    for lead in ((2,), (), (2, 4), (n_heads, n_heads)):
        yield _merge_case(draw.normal(*lead, n_heads, n_tokens, d_head))
    # heads as many as texts, as positions, as channels of a head
    yield _merge_case(draw.normal(n_heads, n_heads, n_tokens, d_head))
    yield _merge_case(draw.normal(2, n_heads, n_heads, d_head))
    yield _merge_case(draw.normal(2, n_heads, n_tokens, n_heads))


@merge_heads.core(
    "one head, one channel a head and one position are heads too",
    hint="squeeze() takes more away than you mean when a size is 1",
    fits=("shape", "raised"),
)
def merge_heads_small(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for shape in (
        (1, n_tokens, d_head),
        (n_heads, n_tokens, 1),
        (n_heads, 1, d_head),
        (1, 1, 1),
    ):
        yield _merge_case(draw.normal(2, *shape))
    yield _merge_case(draw.normal(1, n_heads, n_tokens, d_head))


@merge_heads.core(
    "gradients reach x",
)
def merge_heads_gradients(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for lead in ((2,), (), (1,), (2, 3)):
        x = draw.normal(*lead, n_heads, n_tokens, d_head)
        cotangent = draw.normal(*lead, n_tokens, n_heads * d_head)
        expected = {"argument 0": dealt_out(cotangent, n_heads)}
        judge = gradients_are(expected, "float64", {"argument 0": "x"})
        yield _merge_case(x, judge=judge, cotangents=[cotangent])


@merge_heads.edge(
    "every dtype comes back as it was",
    hint="merging moves numbers and computes none",
    fits=("dtype",),
)
def merge_heads_dtypes(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for dtype in ("float32", "bfloat16", "float16"):
        yield _merge_case(draw.normal(2, n_heads, n_tokens, d_head, dtype=dtype), dtype)


@merge_heads.edge(
    "x is not changed, and every tensor is made on its device",
    hint="new_empty, or device=x.device",
    fits=("device",),
)
def merge_heads_leaves_x(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    x = draw.normal(2, n_heads, n_tokens, d_head)
    yield _merge_case(x, judge=arguments_unchanged(["x"]))
    yield _merge_case(x, judge=same_device, watch_devices=True)
