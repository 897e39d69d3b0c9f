"""What must hold of lesson 9's first half: two filters, one draw, and text that grows."""

import numpy as np
import torch

from ..cases.check import Case, ComponentCheck, Draw
from ..judges.expect import (
    Judge,
    _right_dtype,
    _right_kind,
    _right_shape,
    _right_structure,
    arguments_unchanged,
    at,
    differs,
    gradients_are,
    no_error,
    raises,
    returns,
    same_device,
)
from ..judges.findings import Finding, number
from ..judges.seen import Malformed, Output, Seen
from ..judges.tolerances import BY_DTYPE, Tolerance
from ..observe.probes.generation import build_model
from ..oracles import generation as oracles

LESSON = "09_kv_cache"
HALF = ("bfloat16", "float16")
EXACT = Tolerance(relative=0.0, absolute=0.0)  # token ids: the right ones or not

# How often a token is drawn of so many rows. The bound is far beyond what chance does under any
# seed (one in ten thousand million), and the mistakes move frequencies by a tenth and more.
N_ROWS = 2500
N_TEXTS = 1000
DEVIATIONS = 6.5
ROUNDED_PROBABILITIES = 0.01  # of half precision, whose softmax may be taken in half precision
# Frequencies of two runs that do the same differ by less than this.
ALIKE_ON_AVERAGE = 0.08

keep_top_k = ComponentCheck("keep_top_k", "generation", LESSON)
keep_top_p = ComponentCheck("keep_top_p", "generation", LESSON)
sample = ComponentCheck("sample", "generation", LESSON)
generate = ComponentCheck("generate", "generation", LESSON)


# --- keep_top_k and keep_top_p ---


def filters_to(logits, kept, dtype: str, *, free=None) -> Judge:
    """The logits, with -inf in place of all that is not `kept`.

    Args:
        free: entries that may stay or go: ties at the threshold.
    """
    free = np.zeros(kept.shape, dtype=bool) if free is None else free

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen) or _right_structure(seen, (logits,), ())
        if finding:
            return finding
        output = seen.outputs[0]
        for step in (_right_kind, _right_shape, _right_dtype):
            finding = step(output, logits, "", dtype)
            if finding:
                return finding
        return _filtered(output.array)

    def _filtered(got) -> Finding | None:
        dropped = np.isneginf(got)
        for wrong, what, expected in (
            (~dropped & ~kept & ~free, "kept a token that must go", "-inf"),
            (dropped & kept & ~free, "dropped a token that must stay", None),
        ):
            if wrong.any():
                place = tuple(int(i) for i in np.argwhere(wrong)[0])
                return Finding(
                    f"{what}{at('', place)}",
                    expected=expected or number(logits[place]),
                    got=number(got[place]),
                    details=(f"{int(wrong.sum())} of {wrong.size} entries are wrong",),
                )
        changed = ~dropped & ~np.isclose(
            got, logits, rtol=BY_DTYPE[dtype].relative, atol=BY_DTYPE[dtype].absolute
        )
        if changed.any():
            place = tuple(int(i) for i in np.argwhere(changed)[0])
            return Finding(
                f"a logit that stays was changed{at('', place)}",
                expected=number(logits[place]),
                got=number(got[place]),
            )
        short = (~dropped).sum(axis=-1) < kept.sum(axis=-1)
        if short.any():
            row = int(np.argmax(short))
            return Finding(
                f"too few tokens are kept{at('', (row,))}",
                expected=f"at least {int(kept[row].sum())}",
                got=str(int((~dropped[row]).sum())),
            )
        return None

    return judge


def _filter_case(check, logits, limit, kept, *, dtype="float64", free=None, **options):
    case = check.call(logits, limit, dtype=dtype, names=("logits",), **options)
    return case.expect(filters_to(logits, kept, dtype, free=free))


def _top_k_case(logits, k, *, judge=None, **options):
    kept = oracles.top_k(logits, max(k, 1)) & ~np.isneginf(logits)
    case = _filter_case(keep_top_k, logits, k, kept, **options)
    return case.expect(judge) if judge else case


def _top_p_case(logits, p, *, judge=None, **options):
    kept = oracles.top_p(logits, p) & ~np.isneginf(logits)
    case = _filter_case(keep_top_p, logits, p, kept, **options)
    return case.expect(judge) if judge else case


def _distinct(draw: Draw, n_rows: int, n_tokens: int) -> np.ndarray:
    """Rows of logits, each at a height of its own, exact in every dtype and without ties."""
    # Probabilities fall by exp(-0.5) from rank to rank: 0.40, 0.24, 0.15, … of nine tokens.
    steps = np.stack([draw.order(n_tokens) for _ in range(n_rows)])
    heights = draw.order(n_rows)[:, None] if n_rows > 1 else np.zeros((1, 1))
    return 0.5 * steps - 3.0 * heights + 1.0


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
    yield _top_k_case(_distinct(draw, n_rows, n_tokens), 3, dtype="float32")


@keep_top_k.core(
    "a k of the whole vocabulary or more keeps everything",
    hint="topk raises an error when k is larger than the axis: min(k, logits.shape[-1])",
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
        yield _filter_case(keep_top_k, logits, k, kept, free=free)


@keep_top_p.core(
    "the likeliest tokens stay, as few as reach p together; the others become -inf",
    hint="a token goes if those before it, in the order of their probability, reach p without it",
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
    hint="the likeliest token stays in any case: before it there is nothing",
)
def top_p_keeps_one(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    peaked = draw.normal(n_rows, n_tokens)
    peaked[np.arange(n_rows), draw.integers(0, n_tokens - 1, n_rows)] += 7.0
    for logits, p in ((peaked, 0.3), (peaked, 1e-9), (draw.normal(n_rows, n_tokens), 0.01)):
        yield _top_p_case(logits, p)


@keep_top_p.core("p = 1 keeps everything", hint="a sum of probabilities may reach 1 too early")
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
)
def top_p_large(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    logits = _away_from(draw, (n_rows, n_tokens), 0.7)
    for shift in (1000.0, -1000.0):
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
    yield _filter_case(keep_top_p, logits, 0.6, oracles.top_p(logits, 0.6), free=free)


def add_filter_properties(check: ComponentCheck, limit_name: str, limits, refused, case) -> None:
    """What the two filters have in common.

    Args:
        limits: some values of k or p that drop something; the first one drops a lot.
        case: makes a case from logits and a limit.
    """

    @check.edge(
        "half precision in, half precision out, with the right tokens",
        hint="compute in float32 where rounding could matter, and drop from the logits as given",
    )
    def half(draw: Draw):
        for dtype in HALF:
            for limit in limits:
                yield case(_distinct(draw, draw.sizes(1)[0], 9), limit, dtype=dtype)

    @check.edge(
        "gradients reach the logits that stay",
        hint="drop with masked_fill or where; write nothing in place, detach nothing",
    )
    def gradients(draw: Draw):
        logits = _distinct(draw, *draw.sizes(2))
        kept = (oracles.top_k if limit_name == "k" else oracles.top_p)(logits, limits[0])
        cotangent = np.where(kept, draw.normal(*logits.shape), 0.0)
        judge = gradients_are({"argument 0": cotangent}, "float64", {"argument 0": "logits"})
        yield case(logits, limits[0], judge=judge, cotangents=[cotangent])

    @check.edge(
        "the logits are not changed, and every tensor is made on their device",
        hint="masked_fill makes a new tensor, masked_fill_ and logits[…] = … write into theirs",
    )
    def leaves_logits(draw: Draw):
        logits = _distinct(draw, *draw.sizes(2))
        for dtype in ("float64", "float32"):
            unchanged = arguments_unchanged(["logits"])
            yield case(logits, limits[0], dtype=dtype, judge=unchanged)
            yield case(logits, limits[0], dtype=dtype, judge=same_device, watch_devices=True)

    @check.edge(
        f"{refused[0]}: ValueError naming {limit_name} and the value",
        hint=f'raise ValueError(f"… got {limit_name}={{{limit_name}}}.") before anything else',
    )
    def refuses(draw: Draw):
        for limit in refused[1]:
            judge = raises("ValueError", limit_name, str(limit))
            yield case(draw.normal(*draw.sizes(2)), limit, judge=judge)


add_filter_properties(keep_top_k, "k", (2, 4), ("k below 1", (0, -3)), _top_k_case)
add_filter_properties(
    keep_top_p, "p", (0.52, 0.71), ("p not above 0, or above 1", (0.0, -0.25, 1.5)), _top_p_case
)


# --- sample ---


def _draws(kinds, *, dtype="float64", seed=None, judge=None, n_rows=N_ROWS, watch_devices=False,
           **options) -> Case:  # fmt: skip
    """Many rows of a few kinds in one call, drawn with a generator from `seed`, or without."""
    call = {
        "probe": "draws",
        "dtype": dtype,
        "device": "cpu",
        "args": [kinds],
        "kwargs": options,
        "n_rows": n_rows,
        "seed": seed,
        "compare": judge in (decided_by_the_generator, decided_by_torchs_generator),
        "watch_devices": watch_devices,
        "alike": ALIKE_ON_AVERAGE,
    }
    given = [f"logits {n_rows * len(kinds)}×{kinds.shape[1]}"]
    given += [f"{name}={value!r}" for name, value in options.items()]
    given += [] if seed is None else ["generator=…"]
    slack = ROUNDED_PROBABILITIES if dtype in HALF else 0.0
    judge = judge or drawn_by(oracles.distribution(kinds, **options), n_rows, slack=slack)
    return Case(call, f"sample({', '.join(given)}), {dtype}").expect(judge)


def _greedy(logits, *, judge=None, **options) -> Case:
    """Rows each in a class of its own, from which the options leave the likeliest token only."""
    return _draws(logits, n_rows=1, judge=judge or takes(logits.argmax(axis=-1)), **options)


def _certain(draw: Draw, *, judge=None, **options) -> Case:
    """Many rows of two kinds that leave nothing to chance, unless something is wrong."""
    kinds = 3 * _distinct(draw, 2, draw.sizes(1)[0])
    return _draws(kinds, judge=judge, n_rows=N_ROWS // 2, **options)


def takes(expected) -> Judge:
    """Exactly these ids, one a row."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        (output,) = _drawn(seen)
        return _are_ids(output, expected.shape) or differs(output.array, expected, EXACT)

    return judge


def drawn_by(probabilities, n_rows: int, *, slack: float = 0.0) -> Judge:
    """Ids drawn by these probabilities, one row of them for each kind, and row by row anew."""
    n_kinds = len(probabilities)

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for output in _drawn(seen):
            finding = _are_ids(output, (n_rows * n_kinds,)) or _are_known(
                output.array, probabilities.shape[1]
            )
            if finding:
                return finding
            rows = output.array.reshape(n_rows, n_kinds)
            finding = _drawn_as_often(rows, probabilities, slack) or _independent(
                rows, probabilities, slack
            )
            if finding:
                return finding
        return None

    return judge


def _drawn(seen: Seen) -> list[Output]:
    """The raw results of the calls of a probe that draws."""
    outputs = Seen({"outputs": seen.flag("draws")}).outputs
    if not outputs:
        raise Malformed("draws")
    return outputs


def _are_ids(output: Output, shape: tuple[int, ...]) -> Finding | None:
    """One whole number for each row."""
    wanted = np.zeros(shape, dtype=np.int64)
    for step in (_right_kind, _right_shape, _right_dtype):
        finding = step(output, wanted, "", "int64")
        if finding:
            return finding
    return None


def _are_known(ids, n_tokens: int) -> Finding | None:
    strange = (ids < 0) | (ids >= n_tokens)
    if strange.any():
        got = str(int(ids[strange][0]))
        return Finding("not a token id", expected=f"ids of 0..{n_tokens - 1}", got=got)
    return None


def _drawn_as_often(rows, probabilities, slack: float) -> Finding | None:
    """Nothing outside the support, and every token as often as its probability says."""
    n_rows = len(rows)
    for kind, wanted in enumerate(probabilities):
        counts = np.bincount(rows[:, kind], minlength=len(wanted))
        shares = counts / n_rows
        impossible = (wanted == 0) & (counts > 0)
        allowed = DEVIATIONS * np.sqrt(wanted * (1 - wanted) / n_rows) + 2 / n_rows + slack
        wrong = impossible | (np.abs(shares - wanted) > allowed)
        if wrong.any():
            worst = int(np.argmax(impossible * 2 + np.abs(shares - wanted)))
            what = "a token that must never be drawn" if impossible[worst] else "drawn"
            often = "was drawn" if impossible[worst] else "too often or too seldom"
            return Finding(
                f"{what} {often}",
                expected=f"token {worst} in {_percent(wanted[worst])} of the rows like row {kind}",
                got=_percent(shares[worst]),
            )
    return None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _independent(rows, probabilities, slack: float) -> Finding | None:
    """Two rows in sequence that are alike agree as often as two draws do."""
    pairs = rows[: len(rows) // 2 * 2].reshape(-1, 2, rows.shape[1])
    for kind, wanted in enumerate((probabilities**2).sum(axis=-1)):
        share = (pairs[:, 0, kind] == pairs[:, 1, kind]).mean()
        spread = np.sqrt(wanted * (1 - wanted) / len(pairs))
        if abs(share - wanted) > DEVIATIONS * spread + 2 / len(pairs) + slack:
            return Finding(
                "one row's draw depends on another's",
                expected=f"the same token in {_percent(wanted)} of the pairs of rows",
                got=_percent(share),
            )
    return None


def decided_by_the_generator(seen: Seen) -> Finding | None:
    """One state of the generator gives the same ids, whatever happened; the next gives others."""
    finding = no_error(seen)
    state = seen.flag("afterwards")
    if finding or not isinstance(state, dict) or "moved_on" not in state:
        return finding or Finding("the calls cannot be compared", got="results of another kind")
    if state.get("same_state_same_ids") is not True:
        return Finding(
            "one state of the generator gave different ids",
            expected="the generator, and nothing else, decides",
            got="other ids when torch's own generator was in another state",
        )
    if seen.flag("torchs_own_kept") is not True:
        return Finding(
            "torch's own generator was used or seeded",
            expected="the generator that was given, and no other",
        )
    if state["moved_on"] is not True:
        return Finding(
            "a second call repeated the first",
            expected="the generator goes on from call to call",
            got="the same ids twice",
        )
    return None


def decided_by_torchs_generator(seen: Seen) -> Finding | None:
    """Without a generator the next call gives other ids, and one seed of torch's the same."""
    finding = no_error(seen)
    state = seen.flag("afterwards")
    if finding or not isinstance(state, dict) or "moved_on" not in state:
        return finding or Finding("the calls cannot be compared", got="results of another kind")
    if state["moved_on"] is not True:
        return Finding("a second call repeated the first", got="the same ids twice")
    if state.get("same_state_same_ids") is not True:
        return Finding(
            "other ids, though torch's own generator was in the same state",
            expected="the ids of before: torch.manual_seed decides",
        )
    return None


def _seed(draw: Draw) -> int:
    return int(draw.integers(0, 2**31 - 1))


def _kinds(draw: Draw, *distributions) -> np.ndarray:
    """A row of logits for each distribution, tokens in any order, at a height of its own."""
    width = len(distributions[0])
    order = [draw.order(width) for _ in distributions]
    rows = [np.log(row)[places] for row, places in zip(distributions, order, strict=True)]
    return np.stack(rows) + draw.normal(len(rows), 1)


STEEP = np.array([0.42, 0.26, 0.16, 0.1, 0.06])
FLAT = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
LONG = np.array([0.35, 0.25, 0.2, 0.1, 0.06, 0.04])


@sample.core(
    "each row's token is drawn by the softmax of its logits, anew for every row",
    hint="torch.multinomial(probabilities, 1) draws one id a row, in a column",
)
def sample_draws(draw: Draw):
    yield _draws(_kinds(draw, STEEP, FLAT), seed=_seed(draw))
    yield _draws(_kinds(draw, LONG), seed=_seed(draw), n_rows=2 * N_ROWS)
    yield _greedy(100 * _distinct(draw, 1, 7), seed=_seed(draw))  # one row, and no doubt
    yield _draws(
        _kinds(draw, FLAT, STEEP).astype(np.float32).astype(float),
        seed=_seed(draw),
        dtype="float32",
    )


@sample.core(
    "temperature divides the logits before the softmax",
    hint="logits / temperature: small ones make the likely likelier",
)
def sample_temperature(draw: Draw):
    for temperature in (0.5, 2.0):
        yield _draws(_kinds(draw, STEEP, FLAT), seed=_seed(draw), temperature=temperature)
    # Small ones are not 0 yet: logits that are as close together leave as much to chance.
    for temperature in (0.01, 0.001):
        kinds = temperature * _kinds(draw, STEEP, FLAT)
        yield _draws(kinds, seed=_seed(draw), temperature=temperature)


@sample.core(
    "a temperature of 0 takes the likeliest token of each row",
    hint="nothing can be divided by 0: if temperature == 0, return the argmax of each row",
)
def sample_greedy(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for shape in ((1, n_tokens), (n_rows, n_tokens), (n_tokens, n_tokens), (n_rows, 101)):
        yield _greedy(draw.normal(*shape), temperature=0.0)
    yield _greedy(_distinct(draw, n_rows, n_tokens), temperature=0.0, dtype="float32")
    yield _greedy(draw.normal(n_rows, n_tokens), temperature=0.0, top_k=3, top_p=0.9)
    near = np.stack([draw.order(n_tokens) for _ in range(101)])
    yield _greedy(1.0 + 1e-6 * near, temperature=0.0)  # the likeliest, by however little


@sample.core(
    "top_k and top_p limit what can be drawn; ids are places in the vocabulary",
    hint="the filters make -inf of what goes, so that places stay what they are",
)
def sample_filters(draw: Draw):
    yield _draws(_kinds(draw, STEEP, FLAT), seed=_seed(draw), top_k=2)
    yield _draws(_kinds(draw, STEEP, FLAT), seed=_seed(draw), top_p=0.6)
    yield _certain(draw, top_k=1)
    yield _certain(draw, top_p=1e-6)
    yield _certain(draw, top_k=3, top_p=1e-6, temperature=5.0)
    yield _draws(_kinds(draw, STEEP, FLAT), seed=_seed(draw), top_k=100, top_p=1.0)


@sample.core(
    "temperature first, then top-k, then top-p on what is left and its new probabilities",
    hint="call keep_top_k, and give what it returns to keep_top_p, which takes its own softmax",
)
def sample_order(draw: Draw):
    # 0.35, 0.25, 0.2 are 0.44, 0.31, 0.25 of their sum: two reach 0.7 then, and three do of all.
    yield _draws(_kinds(draw, LONG, LONG), seed=_seed(draw), top_k=3, top_p=0.7)
    # The squares are 0.57, 0.22, 0.08, … of their sum.
    yield _draws(_kinds(draw, STEEP), seed=_seed(draw), temperature=0.5, top_p=0.75)
    yield _draws(_kinds(draw, STEEP), seed=_seed(draw), temperature=2.0, top_p=0.62)
    yield _draws(_kinds(draw, FLAT), seed=_seed(draw), temperature=0.5, top_k=4, top_p=0.7)


@sample.edge(
    "the logits are not changed, and every tensor is made on their device",
    hint="logits / temperature makes a new tensor, logits /= temperature writes into the old one",
)
def sample_leaves_logits(draw: Draw):
    unchanged = arguments_unchanged(["logits"])
    for dtype in ("float64", "float32"):
        options = {"temperature": 2.0, "top_k": 3, "top_p": 0.9, "dtype": dtype}
        yield _certain(draw, judge=unchanged, **options)
        yield _certain(draw, judge=same_device, watch_devices=True, **options)
    yield _certain(draw, judge=same_device, watch_devices=True, temperature=0.0)


@sample.edge(
    "the generator and nothing else decides, and it goes on from call to call",
    hint="pass generator=generator on to whatever draws, as it is",
)
def sample_generator(draw: Draw):
    judge = decided_by_the_generator
    yield _draws(_kinds(draw, FLAT), seed=_seed(draw), judge=judge)
    yield _draws(_kinds(draw, FLAT), seed=_seed(draw), judge=judge, top_k=4, temperature=1.3)


@sample.edge("without a generator torch's own one draws", hint="generator=None is what torch takes")
def sample_without_generator(draw: Draw):
    yield _draws(_kinds(draw, STEEP, FLAT), seed=None)
    yield _draws(_kinds(draw, FLAT), seed=None, judge=decided_by_torchs_generator)


@sample.edge(
    "a token whose logit is -inf is never drawn", hint="softmax gives it the probability 0"
)
def sample_impossible(draw: Draw):
    kinds = _kinds(draw, STEEP, FLAT)
    kinds[0, 1] = kinds[1, 3] = kinds[1, 4] = -np.inf
    yield _draws(kinds, seed=_seed(draw))
    yield _draws(kinds, seed=_seed(draw), top_k=4, temperature=2.0)
    yield _greedy(np.where(draw.mask(5, 7), draw.normal(5, 7), -np.inf), temperature=0.0)


@sample.edge(
    "a temperature near 0 draws as 0 does, without overflow, in half precision too",
    hint="in float16 all above 65504 is infinite: divide in float32",
)
def sample_tiny_temperature(draw: Draw):
    for dtype, temperature in (
        ("float64", 1e-30),
        ("float32", 1e-10),
        *((dtype, temperature) for dtype in HALF for temperature in (1e-3, 1e-8)),
    ):
        yield _certain(draw, temperature=temperature, dtype=dtype)


@sample.edge("logits in half precision are drawn from as well", hint="turn them into float32 first")
def sample_half(draw: Draw):
    for dtype in HALF:
        kinds = torch.from_numpy(_kinds(draw, STEEP, FLAT)).to(getattr(torch, dtype))
        kinds = kinds.double().numpy()
        yield _draws(kinds, seed=_seed(draw), dtype=dtype)
        yield _draws(kinds, seed=_seed(draw), dtype=dtype, temperature=0.5, top_k=3)
        yield _greedy(_distinct(draw, *draw.sizes(2)), temperature=0.0, dtype=dtype)


@sample.edge(
    "a negative temperature: ValueError naming temperature and the value",
    hint='raise ValueError(f"… got temperature={temperature}.") before anything else',
)
def sample_refuses(draw: Draw):
    for temperature in (-0.5, -2.0):
        judge = raises("ValueError", "temperature", str(temperature))
        yield _greedy(draw.normal(*draw.sizes(2)), temperature=temperature, judge=judge)


# --- generate ---

N_STATES = 101


def rolling_model(draw: Draw, context_length: int, *, n_tokens=11, fails_at=None) -> dict:
    """A model whose logits, the same heights in another order for each state, have no ties."""
    table = 0.5 * np.argsort(draw.normal(N_STATES, n_tokens), axis=-1)
    return {"table": table, "context_length": context_length, "fails_at": fails_at}


def _generates(
    model,
    ids,
    n_new,
    *,
    dtype="float64",
    judge=None,
    training=False,
    seed=None,
    n_rows=1,
    watch_devices=False,
    learns=False,
    **options,
) -> Case:
    call = {
        "probe": "generate",
        "dtype": dtype,
        "device": "cpu",
        "args": [ids, n_new],
        "kwargs": options,
        "model": model,
        "training": training,
        "learns": learns,
        "n_rows": n_rows,
        "seed": seed,
        "compare": judge is decided_by_the_generator,
        "watch_devices": watch_devices,
    }
    if n_rows > 1:
        call["alike"] = ALIKE_ON_AVERAGE
    given = [f"ids {n_rows * ids.shape[0]}×{ids.shape[1]}", f"n_new={n_new}"]
    given += [f"{name}={value!r}" for name, value in options.items()]
    given += [] if seed is None else ["generator=…"]
    length = model["context_length"] if "table" in model else model["config"]["context_length"]
    notes = f"context_length={length}, {dtype}" + (", model in training" if training else "")
    notes += ", with other weights than before" if learns else ""
    case = Case(call, f"generate(model, {', '.join(given)}), {notes}")
    return case.expect(judge or continues(model, ids, n_new, dtype))


def continues(model, ids, n_new, dtype="float64") -> Judge:
    """The prompt, and behind it the likeliest tokens."""
    return returns(expected_text(model, ids, n_new, dtype), dtype="int64", tolerance=EXACT)


def expected_text(model: dict, ids, n_new: int, dtype: str = "float64") -> np.ndarray:
    """What greedy generation makes of `ids`."""
    if "table" in model:
        length = model["context_length"]
        return oracles.greedy_text(
            lambda text: oracles.rolling_logits(model["table"], text, length), ids, n_new
        )
    built = build_model(model, torch.float64).eval()

    @torch.no_grad()
    def next_logits(text):
        return built(torch.from_numpy(text[:, -built.config.context_length :]))[:, -1].numpy()

    return oracles.greedy_text(next_logits, ids, n_new)


def _prompt(draw: Draw, n_rows: int, n_tokens: int, vocab_size: int = 11) -> np.ndarray:
    return draw.integers(0, vocab_size - 1, (n_rows, n_tokens))


def greedy_cases(draw: Draw, sizes, context_length: int, **options):
    """Cases whose new tokens vary within a row and from row to row: others would test nothing."""
    for n_rows, n_tokens, n_new in sizes:
        while True:
            model = rolling_model(draw, context_length)
            ids = _prompt(draw, n_rows, n_tokens)
            new = expected_text(model, ids, n_new)[:, n_tokens:]
            if all(len(set(row)) > n_new // 3 for row in new) and (
                n_rows == 1 or len(np.unique(new, axis=0)) > 1
            ):
                break
        yield _generates(model, ids, n_new, temperature=0.0, **options)


@generate.core(
    "each new token is the one that the model's last position finds likeliest",
    hint="logits[:, -1] are about the next token; put it behind ids, and ask again",
)
def generate_greedy(draw: Draw):
    n_rows, n_tokens, n_new = draw.sizes(3, largest=9)
    sizes = [(1, 1, 1), (1, n_tokens, 6), (n_rows, n_tokens, n_new), (n_tokens, n_tokens, n_tokens)]
    yield from greedy_cases(draw, sizes, 20)
    yield from greedy_cases(draw, [(3, 5, 7)], 12, dtype="float32")


@generate.core(
    "of a text longer than context_length the model sees the last context_length tokens",
    hint="ids[:, -model.config.context_length:] goes to the model; all of ids is returned",
)
def generate_crops(draw: Draw):
    n_rows, n_tokens, n_new = draw.sizes(3, largest=9)
    sizes = [(n_rows, n_tokens, n_new + n_tokens), (2, 9, 6), (1, n_tokens, 9)]
    yield from greedy_cases(draw, sizes, 5)
    yield from greedy_cases(draw, [(3, 4, 7)], 1)


@generate.core("n_new = 0 gives the prompt back", hint="a loop over range(0) does nothing")
def generate_nothing(draw: Draw):
    ids = _prompt(draw, *draw.sizes(2))
    yield _generates(rolling_model(draw, 15), ids, 0)
    yield _generates(rolling_model(draw, 2), ids, 0, temperature=0.0)


@generate.core(
    "the options of sampling reach sample, by their names",
    hint="sample(logits, **sampling) passes on whatever was given",
)
def generate_passes_options(draw: Draw):
    n_rows, n_tokens = draw.sizes(2, largest=9)
    for options in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        model, ids = rolling_model(draw, 6), _prompt(draw, n_rows, n_tokens)
        yield _generates(model, ids, 7, **options)
    yield _random(draw)
    yield _random(draw, temperature=0.5)
    yield _random(draw, temperature=2.0, top_k=3)
    yield _random(draw, top_p=0.7)


def _random(draw: Draw, *, judge=None, **options) -> Case:
    """Two new tokens behind many prompts of two kinds; the model sees three tokens at most."""
    model, ids = rolling_model(draw, 3, n_tokens=5), _prompt(draw, 2, 3, 5)
    while (ids[0] == ids[1]).all():
        ids = _prompt(draw, 2, 3, 5)
    judge = judge or grown_by(model, ids, 2, options)
    return _generates(model, ids, 2, seed=_seed(draw), n_rows=N_TEXTS, judge=judge, **options)


def grown_by(model, ids, n_new: int, options: dict) -> Judge:
    """Texts whose new tokens are drawn as the model says about all that stands before them."""
    n_kinds, n_prompt = ids.shape
    prompts = np.tile(ids, (N_TEXTS, 1))

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for output in _drawn(seen):
            finding = _are_ids(output, (len(prompts), n_prompt + n_new))
            finding = finding or _are_known(output.array, model["table"].shape[1])
            if finding:
                return finding
            if (output.array[:, :n_prompt] != prompts).any():
                return Finding("the text does not begin with the prompt")
            for end in range(n_prompt, n_prompt + n_new):
                finding = _next_as_often(output.array, end)
                if finding:
                    return finding
        return None

    def _next_as_often(texts, end: int) -> Finding | None:
        seen_by_model = oracles.rolling_logits(
            model["table"], texts[:, :end], model["context_length"]
        )
        wanted = oracles.distribution(seen_by_model, **options)
        drawn = np.eye(wanted.shape[1])[texts[:, end]]
        if ((wanted == 0) & (drawn == 1)).any():
            return Finding(
                f"a token that must never be drawn stands at position {end}",
                expected="tokens that the options leave",
                got=f"token {int(texts[:, end][((wanted == 0) & (drawn == 1)).any(axis=1)][0])}",
            )
        for kind in range(n_kinds):
            expected, spread = wanted[kind::n_kinds], drawn[kind::n_kinds]
            error = (spread - expected).sum(axis=0)
            allowed = DEVIATIONS * np.sqrt((expected * (1 - expected)).sum(axis=0)) + 2
            if (np.abs(error) > allowed).any():
                token = int(np.argmax(np.abs(error)))
                return Finding(
                    f"drawn too often or too seldom at position {end}",
                    expected=f"token {token} in {_percent(expected[:, token].mean())} of the rows",
                    got=_percent(spread[:, token].mean()),
                )
        return None

    return judge


@generate.core(
    "the model is in evaluation mode meanwhile",
    hint="model.eval() before the first token: dropout must not drop anything now",
)
def generate_evaluates(draw: Draw):
    yield from greedy_cases(draw, [(3, 5, 7)], 6, training=True)
    config = {
        "vocab_size": 13,
        "context_length": 7,
        "d_model": 12,
        "n_heads": 3,
        "n_layers": 2,
        "dropout": 0.4,
    }
    while True:
        model, ids = {"config": config, "seed": _seed(draw)}, _prompt(draw, 3, 5, 13)
        if len(np.unique(expected_text(model, ids, 5)[:, 5:])) > 3:
            break
    yield _generates(model, ids, 5, training=True, temperature=0.0)


def _was(seen: Seen, when: str) -> dict:
    state = seen.flag(when)
    if not isinstance(state, dict):
        raise Malformed(when)
    return state


def _without_gradients(seen: Seen) -> Finding | None:
    finding = no_error(seen)
    if not finding and _was(seen, "inside").get("with_gradients") is not False:
        return Finding(
            "gradients were recorded",
            expected="every call of the model under torch.no_grad()",
            got="a call with gradients: memory grows with every token",
        )
    return finding


def _as_before(training: bool, *, fails: bool = False) -> Judge:
    """The model's mode and torch's are as they were."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        state = _was(seen, "afterwards")
        if fails and state.get("raised") is None:
            return Finding(
                "the model's error did not come through", expected="the error, raised on"
            )
        modes = state.get("in_training")
        if not isinstance(modes, list) or not modes:
            raise Malformed("afterwards")
        if any(mode is not training for mode in modes):
            names = {True: "training mode", False: "evaluation mode"}
            when = "after an error in it, the model" if fails else "the model"
            return Finding(
                f"{when} is left in another mode",
                expected=f"{names[training]}, as before",
                got=names[not training],
            )
        if state.get("with_gradients") is not True:
            return Finding("gradients stay switched off", expected="as before: switched on")
        return None

    return judge


@generate.edge(
    "a text follows from the weights as they are now, also when it was asked for before",
    hint="keep nothing from call to call: the model may have learned in between",
)
def generate_with_other_weights(draw: Draw):
    yield from greedy_cases(draw, [(2, 3, 5)], 6, learns=True)


@generate.edge(
    "the prompt is not changed, and every tensor is made on its device",
    hint="torch.cat makes a new tensor; an empty one needs device=ids.device",
)
def generate_leaves_the_prompt(draw: Draw):
    ids = _prompt(draw, 3, 5)
    unchanged = arguments_unchanged(["ids"])
    for options in ({"judge": unchanged}, {"judge": same_device, "watch_devices": True}):
        yield _generates(rolling_model(draw, 7), ids, 5, top_k=1, **options)
        yield _generates(rolling_model(draw, 4), ids, 3, temperature=0.0, **options)


@generate.edge(
    "no gradients are recorded meanwhile",
    hint="with torch.no_grad(): around the loop",
)
def generate_without_gradients(draw: Draw):
    for training in (False, True):
        ids = _prompt(draw, 2, 3)
        yield _generates(
            rolling_model(draw, 7), ids, 3, judge=_without_gradients, training=training, top_k=1
        )


@generate.edge(
    "the model's mode is restored, whichever it was, also when something fails",
    hint="_evaluating of lesson 8 does it; by hand: try: … finally: model.train(was_training)",
)
def generate_restores(draw: Draw):
    for training in (False, True):
        ids = _prompt(draw, 2, 3)
        for fails_at in (None, 1, 3):
            yield _generates(
                rolling_model(draw, 7, fails_at=fails_at),
                ids,
                4,
                judge=_as_before(training, fails=fails_at is not None),
                training=training,
                top_k=1,
            )


@generate.edge(
    "the generator and nothing else decides, and it goes on from token to token",
    hint="generator is one of the options in **sampling",
)
def generate_generator(draw: Draw):
    yield _random(draw, judge=decided_by_the_generator)


@generate.edge(
    "an empty prompt: ValueError naming ids",
    hint="with no token there is no last position; look at ids.shape[1]",
)
def generate_refuses_an_empty_prompt(draw: Draw):
    for n_rows in (1, 3):
        ids = _prompt(draw, n_rows, 0)
        judge = raises("ValueError", "ids")
        yield _generates(rolling_model(draw, 7), ids, 2, judge=judge, top_k=1)


@generate.edge(
    "n_new below 0: ValueError naming n_new and the value",
    hint="range(-1) is empty: the mistake would go unnoticed",
)
def generate_refuses_less_than_nothing(draw: Draw):
    for n_new in (-1, -4):
        judge = raises("ValueError", "n_new", str(n_new))
        yield _generates(rolling_model(draw, 7), _prompt(draw, 2, 3), n_new, judge=judge, top_k=1)


@generate.edge("models in half precision write too", hint="sample takes logits of any dtype")
def generate_half(draw: Draw):
    for dtype in HALF:
        yield from greedy_cases(draw, [(3, 5, 7)], 9, dtype=dtype)
