"""What must hold of `sample`."""

import numpy as np
import torch

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import Judge, arguments_unchanged, differs, no_error, raises, same_device
from ...judges.findings import Finding
from ...judges.seen import Seen
from ...oracles import generation as oracles
from .fixtures import (
    ALIKE_ON_AVERAGE,
    DEVIATIONS,
    EXACT,
    HALF,
    LESSON,
    N_ROWS,
    ROUNDED_PROBABILITIES,
    are_ids,
    are_known,
    decided_by_the_generator,
    distinct_logits,
    outputs_drawn,
    percent,
)

sample = ComponentCheck("sample", "generation", LESSON)


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
    kinds = 3 * distinct_logits(draw, 2, draw.sizes(1)[0])
    return _draws(kinds, judge=judge, n_rows=N_ROWS // 2, **options)


def takes(expected) -> Judge:
    """Exactly these ids, one a row."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        (output,) = outputs_drawn(seen)
        return are_ids(output, expected.shape) or differs(output.array, expected, EXACT)

    return judge


def drawn_by(probabilities, n_rows: int, *, slack: float = 0.0) -> Judge:
    """Ids drawn by these probabilities, one row of them for each kind, and row by row anew."""
    n_kinds = len(probabilities)

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for output in outputs_drawn(seen):
            finding = are_ids(output, (n_rows * n_kinds,)) or are_known(
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
                expected=f"token {worst} in {percent(wanted[worst])} of the rows that have the "
                f"logits of row {kind}",
                got=percent(shares[worst]),
            )
    return None


def _independent(rows, probabilities, slack: float) -> Finding | None:
    """Two rows in sequence that are alike agree as often as two draws do."""
    pairs = rows[: len(rows) // 2 * 2].reshape(-1, 2, rows.shape[1])
    for kind, wanted in enumerate((probabilities**2).sum(axis=-1)):
        share = (pairs[:, 0, kind] == pairs[:, 1, kind]).mean()
        spread = np.sqrt(wanted * (1 - wanted) / len(pairs))
        if abs(share - wanted) > DEVIATIONS * spread + 2 / len(pairs) + slack:
            return Finding(
                "one row's draw depends on another's",
                expected=f"the same token in {percent(wanted)} of the pairs of rows",
                got=percent(share),
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
    fits=("shape",),
)
def sample_draws(draw: Draw):
    yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed())
    yield _draws(_kinds(draw, LONG), seed=draw.seed(), n_rows=2 * N_ROWS)
    yield _greedy(100 * distinct_logits(draw, 1, 7), seed=draw.seed())  # one row, and no doubt
    yield _draws(
        _kinds(draw, FLAT, STEEP).astype(np.float32).astype(float),
        seed=draw.seed(),
        dtype="float32",
    )


@sample.core(
    "temperature divides the logits before the softmax",
    hint="logits / temperature, once: a temperature below 1 makes the likely likelier",
)
def sample_temperature(draw: Draw):
    for temperature in (0.5, 2.0):
        yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed(), temperature=temperature)
    # Small ones are not 0 yet: logits that are as close together leave as much to chance.
    for temperature in (0.01, 0.001):
        kinds = temperature * _kinds(draw, STEEP, FLAT)
        yield _draws(kinds, seed=draw.seed(), temperature=temperature)


@sample.core(
    "a temperature of 0 takes the likeliest token of each row",
    hint="nothing can be divided by 0: if temperature == 0, return the argmax of each row",
    fits=("raised", "not finite"),
)
def sample_greedy(draw: Draw):
    n_rows, n_tokens = draw.sizes(2)
    for shape in ((1, n_tokens), (n_rows, n_tokens), (n_tokens, n_tokens), (n_rows, 101)):
        yield _greedy(draw.normal(*shape), temperature=0.0)
    yield _greedy(distinct_logits(draw, n_rows, n_tokens), temperature=0.0, dtype="float32")
    yield _greedy(draw.normal(n_rows, n_tokens), temperature=0.0, top_k=3, top_p=0.9)
    near = np.stack([draw.order(n_tokens) for _ in range(101)])
    yield _greedy(1.0 + 1e-6 * near, temperature=0.0)  # the likeliest, by however little


@sample.core(
    "top_k and top_p limit what can be drawn; ids are places in the vocabulary",
    hint="where both are given both act; they make -inf of what goes, so places stay",
)
def sample_filters(draw: Draw):
    yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed(), top_k=2)
    yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed(), top_p=0.6)
    yield _certain(draw, top_k=1)
    yield _certain(draw, top_p=1e-6)
    yield _certain(draw, top_k=3, top_p=1e-6, temperature=5.0)
    yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed(), top_k=100, top_p=1.0)


@sample.core(
    "temperature first, then top-k, then top-p on what is left and its new probabilities",
    hint="divide, then keep_top_k, then keep_top_p of what that returns: one after the other",
)
def sample_order(draw: Draw):
    # 0.35, 0.25, 0.2 are 0.44, 0.31, 0.25 of their sum: two reach 0.7 then, and three do of all.
    yield _draws(_kinds(draw, LONG, LONG), seed=draw.seed(), top_k=3, top_p=0.7)
    # The squares are 0.57, 0.22, 0.08, … of their sum.
    yield _draws(_kinds(draw, STEEP), seed=draw.seed(), temperature=0.5, top_p=0.75)
    yield _draws(_kinds(draw, STEEP), seed=draw.seed(), temperature=2.0, top_p=0.62)
    yield _draws(_kinds(draw, FLAT), seed=draw.seed(), temperature=0.5, top_k=4, top_p=0.7)


@sample.edge(
    "the logits are not changed, and every tensor is made on their device",
    hint="logits / temperature makes a new tensor, logits /= temperature writes into the old one",
    fits=("changed",),
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
    yield _draws(_kinds(draw, FLAT), seed=draw.seed(), judge=judge)
    yield _draws(_kinds(draw, FLAT), seed=draw.seed(), judge=judge, top_k=4, temperature=1.3)


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
    yield _draws(kinds, seed=draw.seed())
    yield _draws(kinds, seed=draw.seed(), top_k=4, temperature=2.0)
    yield _greedy(np.where(draw.mask(5, 7), draw.normal(5, 7), -np.inf), temperature=0.0)


@sample.edge(
    "a temperature near 0 draws as 0 does, without overflow, in half precision too",
    hint="in float16 all above 65504 is infinite: divide in float32",
    fits=("not finite", "raised"),
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
        yield _draws(kinds, seed=draw.seed(), dtype=dtype)
        yield _draws(kinds, seed=draw.seed(), dtype=dtype, temperature=0.5, top_k=3)
        yield _greedy(distinct_logits(draw, *draw.sizes(2)), temperature=0.0, dtype=dtype)


@sample.edge(
    "a negative temperature: ValueError",
    hint='raise ValueError(f"… got temperature={temperature}.") before anything else',
)
def sample_refuses(draw: Draw):
    for temperature in (-0.5, -2.0, -1e-9):
        judge = raises("ValueError", "temperature", str(temperature))
        yield _greedy(draw.normal(*draw.sizes(2)), temperature=temperature, judge=judge)


@sample.edge(
    "a top_k below 1, a top_p of 0 or less or above 1: ValueError, as in keep_top_k and keep_top_p",
    hint="0 is not None: if top_k is not None, keep_top_k refuses it; the same of top_p",
)
def sample_refuses_limits(draw: Draw):
    for name, values in (("top_k", (0, -1)), ("top_p", (0.0, -0.25, 1.5, 1.000001))):
        for value in values:
            judge = raises("ValueError", (name, name[-1]), str(value))
            yield _greedy(draw.normal(*draw.sizes(2)), judge=judge, **{name: value})
    yield _draws(_kinds(draw, STEEP, FLAT), seed=draw.seed(), top_k=None, top_p=None)


@sample.edge(
    "logits far below 0, or far above, row by row, are as good as any",
    hint="take away the highest of each row itself before exp()",
    fits=("not finite", "raised"),
)
def sample_of_one_side(draw: Draw):
    kinds = _kinds(draw, STEEP, FLAT, STEEP) + np.array([[1e4], [-1e4], [-3e4]])
    yield _draws(kinds, seed=draw.seed())
    yield _draws(exact_in(kinds, "float32"), seed=draw.seed(), dtype="float32", temperature=0.5)
    for dtype in HALF:  # and that much apart that nothing is left to chance
        far = -1000.0 * np.stack([draw.order(5) + 1 for _ in range(4)])
        yield _greedy(exact_in(far, dtype), seed=draw.seed(), dtype=dtype)


@sample.asked(
    "real sizes",
    "thousands of unlikely tokens together are drawn as often as they must, in half precision too",
    hint="turn the logits into float32 first: bfloat16 adds nothing that small to a sum of 1",
)
def sample_of_real_size(draw: Draw):
    for dtype in ("float32", *HALF):
        kinds = np.zeros((1, 1501))
        kinds[0, 0] = 7.0  # as likely as 1097 of the others together
        yield _draws(kinds, seed=draw.seed(), dtype=dtype, n_rows=600)
