"""What must hold of `split_heads`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import arguments_unchanged, gradients_are, raises, returns, same_device
from .fixtures import LESSON, dealt_out, joined, numbered

split_heads = ComponentCheck("split_heads", "multihead", LESSON)


def _split_case(x, n_heads: int, dtype="float64", *, judge=None, **options):
    judge = judge or returns(dealt_out(x, n_heads), dtype=dtype)
    return split_heads.call(x, n_heads, names=["x"], dtype=dtype, **options).expect(judge)


@split_heads.core(
    "head h owns the channels h·D to (h+1)·D - 1 of every position: (H, T, D)",
    hint="cut the last axis into (H, D), which moves nothing; then bring H forward",
    fits=("shape",),
)
def split_heads_values(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    yield _split_case(numbered(2, 6), 2)
    for lead in ((2,), (), (2, 4), (n_heads, n_heads)):
        yield _split_case(draw.normal(*lead, n_tokens, n_heads * d_head), n_heads)
    # heads as many as texts, as positions, as channels of a head
    yield _split_case(draw.normal(n_heads, n_tokens, n_heads * d_head), n_heads)
    yield _split_case(draw.normal(2, n_heads, n_heads * d_head), n_heads)
    yield _split_case(draw.normal(2, n_tokens, n_heads * n_heads), n_heads)


@split_heads.core(
    "one head, one channel a head and one position are heads too",
    hint="D = C / H; squeeze() and -1 in a view guess wrong when a size is 1",
    fits=("shape", "raised"),
)
def split_heads_small(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for tokens, heads, width in (
        (n_tokens, 1, d_head),
        (n_tokens, n_heads, 1),
        (1, n_heads, d_head),
        (1, 1, 1),
    ):
        yield _split_case(draw.normal(2, tokens, heads * width), heads)


@split_heads.core(
    "gradients reach x",
)
def split_heads_gradients(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for lead in ((2,), (), (1,), (2, 3)):
        x = draw.normal(*lead, n_tokens, n_heads * d_head)
        cotangent = draw.normal(*lead, n_heads, n_tokens, d_head)
        expected = {"argument 0": joined(cotangent)}
        judge = gradients_are(expected, "float64", {"argument 0": "x"})
        yield _split_case(x, n_heads, judge=judge, cotangents=[cotangent])


@split_heads.edge(
    "n_heads does not divide the channels: ValueError",
    hint="look at the remainder, x.shape[-1] % n_heads, before anything else",
)
def split_heads_refuses(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for d_model in (n_heads * d_head + 1, n_heads * d_head - 1, n_heads - 1):
        x = draw.normal(2, n_tokens, d_model)
        yield _split_case(x, n_heads, judge=raises("ValueError", "n_heads", str(n_heads)))


@split_heads.edge(
    "every dtype comes back as it was",
    hint="splitting moves numbers and computes none",
    fits=("dtype",),
)
def split_heads_dtypes(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for dtype in ("float32", "bfloat16", "float16"):
        x = draw.normal(2, n_tokens, n_heads * d_head, dtype=dtype)
        yield _split_case(x, n_heads, dtype)


@split_heads.edge(
    "x is not changed, and every tensor is made on its device",
    hint="new_empty, or device=x.device",
    fits=("device",),
)
def split_heads_leaves_x(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    x = draw.normal(2, n_tokens, n_heads * d_head)
    yield _split_case(x, n_heads, judge=arguments_unchanged(["x"]))
    yield _split_case(x, n_heads, judge=same_device, watch_devices=True)
