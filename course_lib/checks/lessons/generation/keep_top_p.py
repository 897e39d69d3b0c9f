"""What must hold of `keep_top_p`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...oracles import generation as oracles
from .filters import add_filter_properties, filter_case
from .fixtures import LESSON, distinct_logits

keep_top_p = ComponentCheck("keep_top_p", "generation", LESSON)


def _top_p_case(logits, p, *, judge=None, **options):
    kept = oracles.top_p(logits, p) & ~np.isneginf(logits)
    case = filter_case(keep_top_p, logits, p, kept, **options)
    return case.expect(judge) if judge else case


@keep_top_p.core(
    "the likeliest tokens stay, as few as reach p together; the others become -inf",
    hint="a token goes if those likelier reach p without it; what stays keeps its logit and place",
)
def top_p_keeps(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for shape, p in (
        ((1, n_tokens), 0.6),
        ((n_rows, n_tokens), 0.5),
        ((n_rows, n_tokens), 0.9),
        ((7, 7), 0.75),
        ((3, 41), 0.95),
    ):
        yield _top_p_case(_away_from(draw, shape, p), p)
    flat = np.stack([draw.order(201) for _ in range(2)]) / 200  # 142 of 201 and more are needed
    yield _top_p_case(flat, 0.8)
    yield _top_p_case(
        _away_from(draw, (n_rows, n_tokens), 0.8, dtype="float32"), 0.8, dtype="float32"
    )


def _away_from(draw: Draw, shape, p: float, *, least: float = 4e-3, dtype="float64") -> np.ndarray:
    """Rows of logits, none with a sum of probabilities near `p`; not all keep the same count."""
    while True:
        rows = []
        while len(rows) < shape[0]:
            row = draw.normal(1, shape[1], dtype=dtype) * (1 + len(rows) % 3)
            if oracles.margin(row, p) > least:
                rows.append(row[0])
        logits = np.stack(rows)
        counts = oracles.top_p(logits, p).sum(axis=-1)
        if len(rows) == 1 or counts.min() < counts.max():
            return logits


@keep_top_p.core(
    "at least one token stays, however small p is",
    hint="the likeliest token stays in any case: add up from it down, not from below to 1 - p",
)
def top_p_keeps_one(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    peaked = draw.normal(n_rows, n_tokens)
    peaked[np.arange(n_rows), draw.integers(0, n_tokens - 1, n_rows)] += 7.0
    for logits, p in ((peaked, 0.3), (peaked, 1e-9), (draw.normal(n_rows, n_tokens), 0.01)):
        yield _top_p_case(logits, p)
    for dtype in ("float64", "float32"):
        for p in (1e-6, 1e-9, 1e-18, 1e-30):  # 1 - p is 1 already
            yield _top_p_case(distinct_logits(draw, n_rows, n_tokens), p, dtype=dtype)


@keep_top_p.core(
    "p = 1 keeps everything",
    hint="a sum of rounded probabilities may reach 1 too early: return all of logits when p is 1",
)
def top_p_keeps_all(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for dtype in ("float64", "float32"):
        yield _top_p_case(draw.normal(n_rows, n_tokens, dtype=dtype), 1.0, dtype=dtype)


@keep_top_p.edge(
    "entries that are -inf already stay so, and the others share what is left",
    hint="softmax gives -inf the probability 0",
)
def top_p_after_another_filter(draw: Draw):
    n_rows, n_tokens = max(5, draw.sizes(1)[0]), 9
    for p in (0.5, 0.85):
        while True:
            logits = draw.normal(n_rows, n_tokens)
            logits[0, [1, 3, 4]] = -np.inf
            logits[2, :7] = -np.inf
            if oracles.margin(logits, p) > 4e-3:
                break
        yield _top_p_case(logits, p)
    alone = np.full((n_rows, n_tokens), -np.inf)
    alone[np.arange(n_rows), draw.integers(0, n_tokens - 1, n_rows)] = draw.normal(n_rows)
    yield _top_p_case(alone, 0.9)
    yield _top_p_case(alone, 1.0)


@keep_top_p.edge(
    "only the differences of logits count, however large they are",
    hint="exp(1000) is infinite: softmax takes the highest logit away first",
    fits=("not finite",),
)
def top_p_large(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    logits = _away_from(draw, (n_rows, n_tokens), 0.7)
    by_row = 1e4 * (np.arange(n_rows) % 3 - 1)[:, None]
    for shift in (1000.0, -1000.0, by_row):
        yield _top_p_case(logits + shift, 0.7)
    yield _top_p_case(_away_from(draw, (3, n_tokens), 0.7) * 30, 0.7)


@keep_top_p.edge(
    "of equally likely tokens as many stay as are needed",
    hint="go through the tokens one after the other; which of two equal ones comes first is free",
)
def top_p_ties(draw: Draw):
    probabilities = np.array([[0.4, 0.3, 0.3, 0.0], [0.25, 0.25, 0.25, 0.25]])
    probabilities[0, 3], probabilities[0, 0] = 0.01, 0.39
    order = draw.order(4)
    logits = np.log(probabilities[:, order])
    free = np.array([[False, True, True, False], [True] * 4])[:, order]
    yield filter_case(keep_top_p, logits, 0.6, oracles.top_p(logits, 0.6), free=free)


@keep_top_p.edge(
    "float64 logits are filtered in float64",
    hint="torch.promote_types(logits.dtype, torch.float32): float32 or wider, and never narrower",
)
def top_p_in_float64(draw: Draw):
    logits = np.array([[0.0, -18.0, -40.0], [-18.0, -40.0, 0.0]])[:, draw.order(3)]
    for p in (1 - 1e-9, 1 - 1e-7):  # the likeliest has all but 1.5e-8
        yield _top_p_case(logits, p)


add_filter_properties(
    keep_top_p,
    "p",
    (0.52, 0.71),
    ("p not above 0, or above 1", (0.0, -0.25, 1.5, 1.000001, -1e-9)),
    _top_p_case,
)


@keep_top_p.asked(
    "real sizes",
    "a vocabulary of fifty thousand, in half precision too",
    hint="softmax and cumsum in float32: in bfloat16 a sum stands still where the next is small",
)
def top_p_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        logits = draw.normal(2, 50_257, dtype=dtype)
        probabilities = oracles.softmax(logits)
        order = np.argsort(-probabilities, axis=-1)
        sums = np.empty_like(probabilities)
        ordered = np.take_along_axis(probabilities, order, axis=-1)
        np.put_along_axis(sums, order, np.cumsum(ordered, axis=-1), axis=-1)
        near = np.abs(sums - 0.8) < 5e-3  # where float32, and ties, may decide
        free = np.stack([np.isin(row, row[n]) for row, n in zip(logits, near, strict=True)])
        yield filter_case(keep_top_p, logits, 0.8, sums < 0.8, dtype=dtype, free=free)


@keep_top_p.nothing_to_do
def top_p_of_all(draw: Draw):
    yield keep_top_p.call(draw.normal(3, 5), 1.0, names=("logits",))


@keep_top_p.asked(
    "real sizes",
    "of fifty thousand tokens the likeliest stays, however small p is; a thousand rows are rows",
    hint="before the likeliest token there is nothing: add up from it down, in float32 or wider",
)
def top_p_of_tiny_p(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        logits = draw.normal(2, 50_257, dtype=dtype)
        highest = logits == logits.max(axis=-1, keepdims=True)
        first = np.arange(50_257) == logits.argmax(axis=-1)[:, None]
        for p in (1e-5, 1e-9):
            yield filter_case(keep_top_p, logits, p, first, dtype=dtype, free=highest)
    for n_rows in (1031, 1025):
        yield _top_p_case(distinct_logits(draw, n_rows, 3), 0.52)
