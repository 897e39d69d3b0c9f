"""What must hold of `keep_top_k`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...oracles import generation as oracles
from .filters import add_filter_properties, filter_case
from .fixtures import LESSON, distinct_logits

keep_top_k = ComponentCheck("keep_top_k", "generation", LESSON)


def _top_k_case(logits, k, *, judge=None, **options):
    kept = oracles.top_k(logits, max(k, 1)) & ~np.isneginf(logits)
    case = filter_case(keep_top_k, logits, k, kept, **options)
    return case.expect(judge) if judge else case


@keep_top_k.core(
    "the k highest logits of each row stay as they are, the others become -inf",
    hint="topk(k, dim=-1) gives the k highest of each row: what is below the last of them goes",
)
def top_k_keeps(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for shape, k in (
        ((1, n_tokens), 2),
        ((n_rows, n_tokens), 1),
        ((n_rows, n_tokens), int(draw.integers(2, n_tokens - 1))),
        ((n_tokens, n_tokens), int(draw.integers(1, n_tokens - 1))),
        ((5, 101), int(draw.integers(11, 60))),
    ):
        yield _top_k_case(2 * draw.normal(*shape) + 3 * draw.normal(shape[0], 1), k)
    yield _top_k_case(distinct_logits(draw, n_rows, n_tokens), 3, dtype="float32")


@keep_top_k.core(
    "a k of the whole vocabulary or more keeps everything",
    hint="topk raises an error when k is larger than the axis: min(k, logits.shape[-1])",
    fits=("raised",),
)
def top_k_keeps_all(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for k in (n_tokens, n_tokens + 1, 1000):
        yield _top_k_case(draw.normal(n_rows, n_tokens), k)


@keep_top_k.edge(
    "logits are compared as they are: far below the highest, and very near each other",
    hint="look for the k highest logits: probabilities become 0, and float32 rounds",
)
def top_k_compares_logits(draw: Draw):
    far = -400.0 * np.stack([draw.order(7) for _ in range(3)])
    yield _top_k_case(far, 4)
    yield _top_k_case(far, 4, dtype="float32")
    yield _top_k_case(1.0 + 1e-14 * far, 3)  # 4e-12 apart: float64 holds it


@keep_top_k.edge(
    "entries that are -inf already stay so, and the others do not suffer from them",
    hint="-inf is a number like others to topk and to <",
    fits=("not finite",),
)
def top_k_after_another_filter(draw: Draw):
    n_rows, n_tokens = max(5, draw.sizes(1)[0]), 9
    logits = draw.normal(n_rows, n_tokens)
    logits[0, [1, 3, 4]] = -np.inf
    logits[2, :7] = -np.inf
    for k in (2, 4, 8):
        yield _top_k_case(logits, k)


@keep_top_k.edge(
    "of equal logits at the threshold at least as many stay as are needed for k",
    hint="drop what is *below* the k-th highest, not what is equal to it",
)
def top_k_ties(draw: Draw):
    n_tokens = max(5, draw.sizes(1)[0])
    logits = np.stack([np.zeros(n_tokens), np.arange(n_tokens) // 2, -(np.arange(n_tokens) // 3)])
    logits = logits[:, draw.order(n_tokens)].astype(float)
    for k in (1, 2, 4):
        order = np.sort(logits, axis=-1)[:, ::-1]
        free = logits == order[:, [k - 1]]
        kept = np.zeros(logits.shape, dtype=bool)
        np.put_along_axis(kept, np.argsort(-logits, axis=-1)[:, :k], True, axis=-1)
        yield filter_case(keep_top_k, logits, k, kept, free=free)


add_filter_properties(keep_top_k, "k", (2, 4), ("k below 1", (0, -3)), _top_k_case)


@keep_top_k.asked(
    "real sizes",
    "a vocabulary of fifty thousand, in half precision too",
    hint="topk finds the k-th highest logit; what is below it goes",
)
def top_k_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16"):
        logits = 4 * draw.normal(2, 50_257, dtype=dtype)
        kept = np.zeros(logits.shape, dtype=bool)
        np.put_along_axis(kept, np.argsort(-logits, axis=-1)[:, :50], True, axis=-1)
        free = logits == np.sort(logits, axis=-1)[:, [-50]]
        yield filter_case(keep_top_k, logits, 50, kept, dtype=dtype, free=free)


@keep_top_k.nothing_to_do
def top_k_of_all(draw: Draw):
    logits = draw.normal(3, 5)
    for k in (5, 50):
        yield keep_top_k.call(logits, k, names=("logits",))


@keep_top_k.asked(
    "real sizes",
    "a thousand rows and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def top_k_of_many_rows(draw: Draw):
    for shape in ((1031, 3), (1025, 2), (2, 1031)):
        yield _top_k_case(draw.normal(*shape), shape[1] // 2)
