"""The loop of a package: its steps, and what they come to on stories and on rows to copy."""

import math

import numpy as np

from course_lib.corpus import ALPHABET, stories

from ..cases.check import Case, Check
from ..cases.draw import Draw
from ..judges.expect import Judge, also, differs, no_error
from ..judges.findings import Finding, number
from ..judges.seen import Seen
from ..judges.tolerances import Tolerance
from ..oracles import capstone as oracle
from .runs import FLOAT32, LESSON, arrays, run_case, sizes, wrong_shape

trains = Check("trains", "training", LESSON)

# What training may cost, and what must come of it. Measured over 20 seeds and six orders in which
# layers are made (tests/test_capstone.py holds the margins).
STORIES = {"d_model": 32, "n_heads": 4, "n_layers": 2, "context_length": 32}
STORIES_STEPS, STORIES_BATCH, STORIES_LOSS = 300, 16, 0.75
N_TRAINING, N_OTHER, N_UNSEEN = 60_000, 42, 4_000  # 42: a window of 32, and one of 9
COPY = {"vocab_size": 12, "d_model": 32, "n_heads": 4, "n_layers": 2, "context_length": 11}
COPY_STEPS, COPY_BATCH, COPY_HALF, COPY_LOSS = 150, 32, 6, 1.0
BEATEN = 0.05  # below ln V by more than this is knowledge, and no chance of these 1,280 targets

# AdamW divides a gradient by its own size: beside its usual 1e-8, the rounding of a loss in float32
# would move a weight whose gradient is small by any amount. Beside this it moves none by 1e-6.
STEPS_EPS = 1e-3
AFTER_STEPS = Tolerance(relative=1e-5, absolute=1e-6)


def _training(run: str, shown: str, judge: Judge, draw: Draw, **call) -> Case:
    usual = {"max_grad_norm": 1.0, "n_chunks": 1, "autocast": None, "eps": 1e-8}
    call = {**usual, "dtype": "float32", **call}
    return run_case(run, shown, also(no_error, judge), seed=draw.seed(), **call)


def _plan(max_lr: float, n_steps: int) -> dict:
    return {"max_lr": max_lr, "min_lr": max_lr / 10, "warmup_steps": 20, "total_steps": n_steps}


@trains.core(
    "a few steps change the weights as AdamW, clipping and the schedule must",
    hint="`course check train_step decay_groups learning_rate next_token_loss` checks each alone",
)
def trains_steps(draw):
    for n_chunks, max_grad_norm in ((1, 0.3), (2, 10.0)):
        config = sizes(draw)
        weights = oracle.fresh_weights(config, draw.seed())
        ids = draw.integers(0, config["vocab_size"] - 1, (5, 4, 10))
        batches = [(part[:, :-1], part[:, 1:]) for part in ids]
        plan = {"max_lr": 2e-2, "min_lr": 2e-3, "warmup_steps": 2, "total_steps": 4}
        losses, after = oracle.after_steps(config, weights, batches, plan, max_grad_norm, STEPS_EPS)
        yield _training(
            "steps", f"5 steps, n_chunks={n_chunks}, max_grad_norm={max_grad_norm}",
            _ends_at(losses, after), draw, config=config, weights=weights,
            batches=[list(batch) for batch in batches], schedule=plan, dtype="float64",
            n_chunks=n_chunks, max_grad_norm=max_grad_norm, eps=STEPS_EPS,
        )  # fmt: skip


def _ends_at(losses: np.ndarray, after: dict) -> Judge:
    def judge(seen):
        (found,) = arrays(seen, 1)
        if found.shape != losses.shape:
            return wrong_shape(losses.shape, found.shape)
        finding = differs(found, losses, AFTER_STEPS, "the losses")
        if finding:
            return finding
        weights = seen.initial
        for name, array in after.items():
            if weights.get(name) is None or weights[name].shape != array.shape:
                return Finding(f"{name} is missing or has another shape after the steps")
            finding = differs(weights[name], array, AFTER_STEPS, name)
            if finding:
                return finding
        return None

    return judge


@trains.core(
    "trained on stories, it predicts stories that it has never seen",
    hint="do the losses of your own run fall, and how far? does evaluate count each target once?",
)
def trains_on_stories(draw):
    # The letters change places: weights that were trained before know another alphabet.
    order = draw.order(len(ALPHABET)).astype(np.uint8)
    ids = dict(zip(ALPHABET, order, strict=True))
    tokens, other, unseen = (
        np.array([ids[c] for c in stories(n, seed=draw.seed())], dtype=np.uint8)
        for n in (N_TRAINING, N_OTHER, N_UNSEEN)
    )
    config = {**STORIES, "vocab_size": len(ALPHABET)}
    context_length = config["context_length"]

    def judge(seen):
        model = _trained(config, seen)
        if isinstance(model, Finding):
            return model
        reported, logits = arrays(seen, 2)
        if reported.shape != (STORIES_STEPS + 1,):
            return wrong_shape((STORIES_STEPS + 1,), reported.shape)
        loss = oracle.loss_on_text(model, unseen, context_length)
        if not loss < STORIES_LOSS:
            return Finding(
                "it has not learned enough from the stories",
                expected=f"a loss below {STORIES_LOSS} on stories it has not seen",
                got=f"{loss:.3f} (a guess: {math.log(len(ALPHABET)):.2f})",
            )
        expected = oracle.logits_of(model, other[None, :context_length])
        if logits.shape != expected.shape:
            return wrong_shape(expected.shape, logits.shape)
        finding = differs(logits, expected, FLOAT32, "the trained model's logits")
        own = oracle.loss_on_text(model, other, context_length)
        if not finding and not abs(reported[-1] - own) < 1e-3:
            finding = Finding(
                "evaluate reports another loss", expected=f"{own:.4f}", got=number(reported[-1])
            )
        return finding

    yield _training(
        "text", f"{STORIES_STEPS} steps on {N_TRAINING:,} characters", judge, draw, config=config,
        tokens=tokens, other=other, n_steps=STORIES_STEPS, batch_size=STORIES_BATCH,
        schedule=_plan(1.5e-2, STORIES_STEPS),
    )  # fmt: skip


@trains.core(
    "it learns to copy what it can see, and never beats ln V where nothing can be known",
    hint="targets are the next tokens, and no position may see them",
)
def trains_to_copy(draw):
    yield _copying(draw, COPY_STEPS, COPY_LOSS)


@trains.edge(
    "in bfloat16, and in chunks, it learns as well",
    hint="autocast_dtype goes to torch.autocast; each chunk's loss counts by its targets",
)
def trains_in_bfloat16(draw):
    yield _copying(draw, COPY_STEPS, COPY_LOSS, autocast="bfloat16", n_chunks=2)


def _copying(draw: Draw, n_steps: int, most: float, **options) -> Case:
    """Rows of random tokens, then the same again: the second half can be known."""
    n_half, n_tokens = COPY_HALF, COPY["vocab_size"]
    first = draw.integers(0, n_tokens - 1, (n_steps * COPY_BATCH + 256, n_half)).astype(np.uint8)
    rows = np.concatenate([first, first], axis=1)
    batches = rows[:-256].reshape(n_steps, COPY_BATCH, 2 * n_half)
    fresh, rows = rows[-256:, :-1], rows[-256:]
    floor = math.log(n_tokens)

    def halves(logits):
        losses = oracle.losses_of(logits, rows[:, 1:])
        return losses[:, : n_half - 1].mean(), losses[:, n_half - 1 :].mean()

    def judge(seen):
        model = _trained(COPY, seen)
        if isinstance(model, Finding):
            return model
        _, own = arrays(seen, 2)
        expected = oracle.logits_of(model, fresh)
        if own.shape != expected.shape:
            return wrong_shape(expected.shape, own.shape)
        for logits in (own, expected):
            unknown, known = halves(logits)
            if unknown < floor - BEATEN:
                return Finding(
                    "it knows what cannot be known",
                    expected=f"a loss of {floor:.2f} = ln {n_tokens} on random tokens, or more",
                    got=f"{unknown:.2f}: it sees the future, or its loss is another one",
                )
            if not known < most:
                return Finding(
                    "it has not learned to copy",
                    expected=f"a loss below {most} on what was there before",
                    got=f"{known:.2f} (a guess: {floor:.2f})",
                )
        return differs(own, expected, FLOAT32, "the trained model's logits")

    told = "".join(f", {name}={value}" for name, value in options.items())
    return _training(
        "batches", f"{n_steps} steps on rows to copy{told}", judge, draw, config=COPY,
        batches=batches, ids=fresh, schedule=_plan(1e-2, n_steps), **options,
    )  # fmt: skip


def _trained(config: dict, seen: Seen):
    """The judge's own model with the weights that came back, or what is wrong with them."""
    weights = seen.initial
    if any(a is None or not np.isfinite(a).all() for a in weights.values()):
        return Finding("the trained weights are not finite")
    try:
        return oracle.model_of(config, weights)
    except ValueError as error:
        return Finding(f"the weights do not fit the model: {error}")
