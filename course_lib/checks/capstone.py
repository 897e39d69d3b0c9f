"""Lesson 12: what a whole package must do. Its parts have checks of their own, in their lessons.

Weights that were trained by the package come back as numbers and are evaluated here, in a GPT
made of torch's own functions, on text that the package has never seen. How long anything takes,
in which order layers were made, and which numbers chance drew does not matter.
"""

import math

import numpy as np

from course_lib.corpus import ALPHABET, stories

from . import oracles_capstone as oracle
from .cases import Case, ComponentCheck, Draw
from .expect import Judge, also, differs, no_error, parameters_are, raises
from .findings import Finding, number
from .seen import Seen
from .tolerances import Tolerance

LESSON = "12_capstone"

# What training may cost, and what must come of it. Measured over 20 seeds and six orders in which
# layers are made (tests/test_capstone.py holds the margins).
STORIES = {"d_model": 32, "n_heads": 4, "n_layers": 2, "context_length": 32}
STORIES_STEPS, STORIES_BATCH, STORIES_LOSS = 300, 32, 0.75
N_TRAINING, N_UNSEEN = 60_000, 4_000
COPY = {"vocab_size": 12, "d_model": 32, "n_heads": 4, "n_layers": 2, "context_length": 11}
COPY_STEPS, COPY_BATCH, COPY_HALF, COPY_LOSS = 200, 32, 6, 0.3
BEATEN = 0.05  # below ln V by more than this is knowledge, and no chance of these 1,280 targets

EXACT = Tolerance(relative=1e-6, absolute=1e-8)  # float64, through two blocks and back
AFTER_STEPS = Tolerance(relative=1e-5, absolute=1e-6)  # AdamW divides by gradients near 0
FLOAT32 = Tolerance(relative=1e-2, absolute=2e-2)  # logits of size 20, through two blocks
NEAR_TIE = 1e-3  # of float32's logits: either token may be called the likeliest

computes = ComponentCheck("computes", "model", LESSON)
trains = ComponentCheck("trains", "training", LESSON)
generates = ComponentCheck("generates", "generation", LESSON)
caches = ComponentCheck("caches", "cache", LESSON)
PACKAGE_CHECKS = (computes, trains, generates, caches)

# The modules that each one is about, in lesson order: where to look when it fails.
MODULES_OF = {
    "computes": ("tokens", "attention", "masking", "multihead", "norm", "mlp", "block", "model"),
    "trains": ("training",),
    "generates": ("tokens", "training", "generation"),
    "caches": ("training", "generation", "cache"),
}


def _case(run: str, shown: str, judge: Judge, **call) -> Case:
    """One run of a package."""
    call = {"probe": "package", "run": run, "device": "cpu", "dtype": "float64", **call}
    return Case({"weights": None, **call}, shown, also(_ran, judge))


def _ran(seen: Seen) -> Finding | None:
    """The run ended, and needed no part that is borrowed."""
    error = seen.error
    if error and error["type"] == "StillBorrowed":
        return Finding(
            f"{error['name']} is still borrowed",
            details=("what is borrowed earns nothing here: write it in its lesson",),
        )
    return None


def _seed(draw: Draw) -> int:
    return int(draw.integers(0, 2**31 - 1))


# --- computes


def _sizes(draw: Draw, *, tied: bool = True) -> dict:
    """A small model's config, its sizes pairwise different."""
    n_heads, d_head = ((3, 5), (5, 3))[int(draw.integers(0, 1))]
    return {
        "vocab_size": 17 + 2 * int(draw.integers(0, 3)),
        "context_length": 11,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
        "bias": tied,
        "tie_weights": tied,
        "gelu_approximate": "none" if tied else "tanh",
    }


def _computing(draw: Draw, judge_of, *, tied=True, gradients=False, dtype="float64"):
    """Logits of drawn weights, of ids and of others that differ from them late in the text."""
    config, seed = _sizes(draw, tied=tied), _seed(draw)
    weights = oracle.drawn_weights(config, seed)
    n_rows, n_tokens = config["n_heads"], 7 if tied else config["context_length"]
    ids = draw.integers(0, config["vocab_size"] - 1, (n_rows, n_tokens))
    others, change = ids.copy(), n_tokens - 3
    others[:, change:] = (others[:, change:] + 1) % config["vocab_size"]
    model = oracle.model_of(config, weights)
    logits = oracle.logits_of(model, ids)
    cotangent = draw.normal(*logits.shape) if gradients else None
    judge = judge_of(config, model, ids, logits, change, cotangent)
    kind = "tied" if tied else "untied, no biases"
    shown = f"GPT, {config['n_layers']} blocks, {kind}, ids {n_rows}×{n_tokens}, {dtype}"
    return _case(
        "compute", shown, judge, config=config, weights=weights, seed=seed, ids=ids,
        others=others, cotangent=cotangent, dtype=dtype,
    )  # fmt: skip


@computes.core(
    "the model has the parameters that CONTRACTS names",
    hint="`course check GPT` checks the model alone, and every part its own way",
)
def computes_parameters(draw):
    def judge_of(config, model, *_):
        return parameters_are({name: tuple(t.shape) for name, t in model.state_dict().items()})

    for tied in (True, False):
        yield _computing(draw, judge_of, tied=tied)


@computes.core(
    "what comes later changes no logits before it",
    hint="future_influence (lesson 3) shows which position sees which; every block needs the mask",
)
def computes_causally(draw):
    def judge_of(config, model, ids, logits, change, cotangent):
        def judge(seen):
            one, other = (output.array for output in seen.outputs[:2])
            if one.shape != logits.shape or other.shape != logits.shape:
                return _wrong_shape(logits.shape, one.shape)
            finding = differs(other[:, :change], one[:, :change], EXACT, "logits")
            if finding:
                return Finding(
                    f"logits before position {change} changed with the ids from there on",
                    finding.expected, finding.got, finding.details,
                )  # fmt: skip
            return None

        return also(no_error, judge)

    yield _computing(draw, judge_of)
    yield _computing(draw, judge_of, tied=False)


@computes.core(
    "its logits are those of the same weights in a GPT of torch's own functions",
    hint="`course check` runs each part's own check: the first that fails is where to look",
)
def computes_logits(draw):
    def judge_of(config, model, ids, logits, change, cotangent):
        return _logits_are(logits, EXACT)

    for tied in (True, False, True):
        yield _computing(draw, judge_of, tied=tied)


@computes.edge(
    "gradients reach every parameter, and are right",
    hint="look for .detach(), .data, .item() or torch.no_grad() in the forward of a part",
)
def computes_gradients(draw):
    def judge_of(config, model, ids, logits, change, cotangent):
        expected = oracle.gradients_of(model, ids, cotangent)

        def judge(seen):
            for name, array in expected.items():
                gradient = seen.gradients.get(name)
                if gradient is None:
                    return Finding(f"no gradient reaches {name}")
                if gradient.shape != array.shape:
                    return _wrong_shape(array.shape, gradient.shape)
                finding = differs(gradient, array, EXACT, f"the gradient of {name}")
                if finding:
                    return finding
            return None

        return also(no_error, judge)

    yield _computing(draw, judge_of, gradients=True)


@computes.edge(
    "n_parameters counts shared tensors once",
    hint="a tied head is the token embedding: the same tensor under two names",
)
def computes_counts(draw):
    def judge_of(config, model, *_):
        expected = oracle.counts_of(model)

        def judge(seen):
            found = seen.flag("counts")
            if found != expected:
                return Finding("wrong count", expected=str(expected), got=str(found)[:60])
            return None

        return also(no_error, judge)

    for tied in (True, False):
        yield _computing(draw, judge_of, tied=tied, gradients=True)


@computes.edge(
    "in float32 the logits are the same but for rounding",
    hint="a tensor made with another dtype, or a mask of -1e9, shows in half precision first",
)
def computes_float32(draw):
    def judge_of(config, model, ids, logits, change, cotangent):
        return _logits_are(logits, FLOAT32)

    yield _computing(draw, judge_of, dtype="float32")


@computes.edge(
    "a fresh model knows nothing yet: small weights, and a first loss near ln V",
    hint="init_weights: 0.02, and 0.02/sqrt(2L) where a sublayer writes into the stream",
)
def computes_fresh(draw):
    config = {**STORIES, "vocab_size": 64, "n_layers": 3}
    ids = draw.integers(0, 63, (8, 33))

    def judge(seen):
        weights = seen.initial
        model = oracle.model_of(config, weights)
        for name, array in weights.items():
            if array.ndim > 1:
                into_stream = name.endswith(("attention.out.weight", "mlp.down.weight"))
                wanted = 0.02 / math.sqrt(2 * config["n_layers"]) if into_stream else 0.02
                if not 0.85 * wanted < array.std() < 1.15 * wanted:
                    return Finding(
                        f"{name} spreads too {'far' if array.std() > wanted else 'little'}",
                        expected=f"standard deviation {wanted:.4f}",
                        got=f"{array.std():.4f}",
                    )
        loss = oracle.losses_of(oracle.logits_of(model, ids[:, :-1]), ids[:, 1:]).mean()
        if abs(loss - math.log(64)) > 0.1:
            return Finding("wrong first loss", expected="ln 64 = 4.16", got=f"{loss:.2f}")
        return None

    yield _case("fresh", "a fresh GPT", also(no_error, judge), config=config, seed=_seed(draw))


@computes.edge(
    "more ids than the context holds: ValueError",
    hint="Embeddings raises it: position rows end at context_length",
)
def computes_too_long(draw):
    config = _sizes(draw)
    ids = draw.integers(0, config["vocab_size"] - 1, (2, config["context_length"] + 1))
    yield _case(
        "too long", f"GPT, ids 2×{ids.shape[1]}, context_length=11", raises("ValueError"),
        config=config, ids=ids, seed=_seed(draw),
    )  # fmt: skip


def _logits_are(expected: np.ndarray, tolerance: Tolerance) -> Judge:
    def judge(seen):
        found = seen.outputs[0].array
        if found is None or found.shape != expected.shape:
            return _wrong_shape(expected.shape, getattr(found, "shape", None))
        if not np.isfinite(found).all():
            return Finding("logits that are not finite")
        return differs(found, expected, tolerance, "logits")

    return also(no_error, judge)


def _wrong_shape(expected, got) -> Finding:
    return Finding("wrong shape", expected=str(tuple(expected)), got=str(got))


# --- trains


def _training(run: str, shown: str, judge: Judge, draw: Draw, **call) -> Case:
    call = {"max_grad_norm": 1.0, "n_chunks": 1, "autocast": None, "dtype": "float32", **call}
    return _case(run, shown, also(no_error, judge), seed=_seed(draw), **call)


def _plan(n_steps: int) -> dict:
    return {"max_lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 20, "total_steps": n_steps}


@trains.core(
    "a few steps change the weights as AdamW, clipping and the schedule must",
    hint="`course check train_step decay_groups learning_rate next_token_loss` checks each alone",
)
def trains_steps(draw):
    for n_chunks, max_grad_norm in ((1, 0.3), (2, 10.0)):
        config = _sizes(draw)
        weights = oracle.fresh_weights(config, _seed(draw))
        ids = draw.integers(0, config["vocab_size"] - 1, (5, 4, 10))
        batches = [(part[:, :-1], part[:, 1:]) for part in ids]
        plan = {"max_lr": 2e-2, "min_lr": 2e-3, "warmup_steps": 2, "total_steps": 4}
        losses, after = oracle.after_steps(config, weights, batches, plan, max_grad_norm)
        yield _training(
            "steps", f"5 steps, n_chunks={n_chunks}, max_grad_norm={max_grad_norm}",
            _ends_at(losses, after), draw, config=config, weights=weights,
            batches=[list(batch) for batch in batches], schedule=plan, dtype="float64",
            n_chunks=n_chunks, max_grad_norm=max_grad_norm,
        )  # fmt: skip


def _ends_at(losses: np.ndarray, after: dict) -> Judge:
    def judge(seen):
        found = seen.outputs[0].array
        if found is None or found.shape != losses.shape:
            return _wrong_shape(losses.shape, getattr(found, "shape", None))
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
    hint="look at the losses of your own run: do they fall, and how far?",
)
def trains_on_stories(draw):
    # The letters change places: weights that were trained before know another alphabet.
    order = draw.order(len(ALPHABET)).astype(np.uint8)
    ids = dict(zip(ALPHABET, order, strict=True))
    tokens, other, unseen = (
        np.array([ids[c] for c in stories(n, seed=_seed(draw))], dtype=np.uint8)
        for n in (N_TRAINING, 400, N_UNSEEN)
    )
    config = {**STORIES, "vocab_size": len(ALPHABET)}
    context_length = config["context_length"]

    def judge(seen):
        model = _trained(config, seen)
        if isinstance(model, Finding):
            return model
        reported, logits = (output.array for output in seen.outputs[:2])
        if reported.shape != (STORIES_STEPS + 1,):
            return _wrong_shape((STORIES_STEPS + 1,), reported.shape)
        loss = oracle.loss_on_text(model, unseen, context_length)
        if not loss < STORIES_LOSS:
            return Finding(
                "it has not learned enough from the stories",
                expected=f"a loss below {STORIES_LOSS} on stories it has not seen",
                got=f"{loss:.3f} (a guess: {math.log(len(ALPHABET)):.2f})",
            )
        expected = oracle.logits_of(model, other[None, :context_length])
        if logits.shape != expected.shape:
            return _wrong_shape(expected.shape, logits.shape)
        finding = differs(logits, expected, FLOAT32, "the trained model's logits")
        own = oracle.loss_on_text(model, other, context_length)
        if not finding and not abs(reported[-1] - own) < 0.01:
            finding = Finding(
                "evaluate says something else", expected=f"{own:.4f}", got=number(reported[-1])
            )
        return finding

    yield _training(
        "text", f"{STORIES_STEPS} steps on {N_TRAINING:,} characters", judge, draw, config=config,
        tokens=tokens, other=other, n_steps=STORIES_STEPS, batch_size=STORIES_BATCH,
        schedule=_plan(STORIES_STEPS),
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
    yield _copying(draw, COPY_STEPS, 1.0, autocast="bfloat16", n_chunks=2)


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
        own = seen.outputs[1].array
        expected = oracle.logits_of(model, fresh)
        if own.shape != expected.shape:
            return _wrong_shape(expected.shape, own.shape)
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
        return None

    told = "".join(f", {name}={value}" for name, value in options.items())
    return _training(
        "batches", f"{n_steps} steps on rows to copy{told}", judge, draw, config=COPY,
        batches=batches, ids=fresh, schedule=_plan(n_steps), **options,
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


# --- generates, and caches

GENERATE, CACHED = ("generation", "generate"), ("cache", "generate_cached")


def _prompts(draw: Draw, n_rows: int, n_prompt: int, n_new: int, **more):
    """A model and prompts whose greedy text varies and is never a near-tie."""
    while True:
        config, seed = _sizes(draw), _seed(draw)
        config["context_length"] = 24
        weights = oracle.drawn_weights(config, seed)
        ids = draw.integers(0, config["vocab_size"] - 1, (n_rows, n_prompt))
        model = oracle.model_of(config, weights)
        expected, leads = oracle.greedy(model, ids, n_new)
        new = expected[:, n_prompt:]
        if leads.min(initial=1.0) > 1e-6 and all(len(set(row)) >= 3 for row in new.tolist()):
            return {"config": config, "weights": weights, "seed": seed, "ids": ids}, model, expected


def _generating(function, given: dict, n_new: int, judge: Judge, **options) -> Case:
    call = {"sampling": {"temperature": 0.0}, "training": False, "draws": False, **options}
    n_rows, n_prompt = given["ids"].shape
    shown = f"{function[1]}(model, ids {n_rows}×{n_prompt}, {n_new})"
    told = "".join(f", {name}={value}" for name, value in call["sampling"].items())
    return _case(
        "generate", f"{shown[:-1]}{told})", also(no_error, judge), function=list(function),
        n_new=n_new, **given, **call,
    )  # fmt: skip


def _ids_are(expected: np.ndarray, model=None) -> Judge:
    """Exactly these ids; with a model, another one may be right where the two nearly tie."""

    def judge(seen):
        found = seen.outputs[0].array
        if found is None or found.dtype.kind != "i" or found.shape != expected.shape:
            return _wrong_shape(expected.shape, getattr(found, "shape", None))
        for row, (one, other) in enumerate(zip(found, expected, strict=True)):
            if (one == other).all():
                continue
            place = int(np.argmax(one != other))
            if model is not None and place > 0:
                before = other[None, max(0, place - model.config.context_length) : place]
                logits = oracle.logits_of(model, before)[0, -1]
                in_range = 0 <= one[place] < len(logits)
                if in_range and logits.max() - logits[one[place]] < NEAR_TIE:
                    continue
            return Finding(
                f"wrong id at [{row}, {place}]", expected=str(other[place]), got=str(one[place])
            )
        return None

    return judge


@generates.core(
    "greedy text is the likeliest token after the likeliest token, past the context too",
    hint="the last position's logits; crop to the last context_length ids",
)
def generates_greedily(draw):
    for n_rows, n_prompt, n_new in ((2, 5, 17), (3, 19, 13)):
        given, _, expected = _prompts(draw, n_rows, n_prompt, n_new)
        yield _generating(GENERATE, given, n_new, _ids_are(expected))


@generates.core(
    "tokens are drawn as often as their probabilities say",
    hint="divide the logits by the temperature, keep the top k, and draw each row on its own",
)
def generates_by_chance(draw):
    given, model, _ = _prompts(draw, 1, 7, 3)
    logits = oracle.logits_of(model, given["ids"])[0, -1] / 3.0
    kept = np.argsort(logits)[-5:]
    wanted = np.zeros(len(logits))
    wanted[kept] = np.exp(logits[kept] - logits.max())
    wanted /= wanted.sum()
    n_rows = 3000

    def judge(seen):
        found = seen.outputs[0].array
        if found.shape != (n_rows, 8):
            return _wrong_shape((n_rows, 8), found.shape)
        counts = np.bincount(np.clip(found[:, -1], 0, len(wanted)), minlength=len(wanted) + 1)
        shares = counts[: len(wanted)] / n_rows
        wrong = np.abs(shares - wanted) > 0.06
        if (counts[: len(wanted)][wanted == 0] > 0).any() or wrong.any() or counts[-1]:
            place = int(np.argmax(np.abs(shares - wanted)))
            return Finding(
                f"token {place} comes too {'often' if shares[place] > wanted[place] else 'rarely'}",
                expected=f"{100 * wanted[place]:.0f} % of the rows",
                got=f"{100 * shares[place]:.0f} %",
            )
        return None

    given["ids"] = np.repeat(given["ids"], n_rows, axis=0)
    yield _generating(
        GENERATE, given, 1, judge, sampling={"temperature": 3.0, "top_k": 5}, draws=True
    )


@generates.edge(
    "a model in training generates without dropout, and is in training again afterwards",
    hint="eval() inside, and the mode as it was when it ends",
)
def generates_in_evaluation(draw):
    yield _with_dropout(draw, GENERATE)


@generates.edge(
    "text in, text out",
    hint="CharTokenizer: the ids are places among the sorted characters of the text",
)
def generates_text(draw):
    yield _writing(draw, [GENERATE])


@caches.core(
    "with a cache the text is the same, and each position is computed once",
    hint="prefill with the prompt, then feed one token a step at position cache.length",
)
def caches_greedily(draw):
    for n_rows, n_prompt, n_new in ((2, 5, 17), (3, 1, 11)):
        given, _, expected = _prompts(draw, n_rows, n_prompt, n_new)
        most = n_prompt + n_new

        def judge(seen, most=most):
            n_positions = seen.flag("positions")
            if not isinstance(n_positions, int) or n_positions > most:
                return Finding(
                    "positions are computed again",
                    expected=f"at most {most} a row", got=str(n_positions)[:20],
                )  # fmt: skip
            return None

        yield _generating(CACHED, given, n_new, also(_ids_are(expected), judge))


@caches.core(
    "in float32 the text is the same too, but for near-ties",
    hint="the cache keeps the dtype of the model",
)
def caches_in_float32(draw):
    given, model, expected = _prompts(draw, 3, 7, 15)
    yield _generating(CACHED, given, 15, _ids_are(expected, model), dtype="float32")


@caches.edge(
    "text with a cache is text without one",
    hint="generate and generate_cached of your package disagree: which of them is right?",
)
def caches_text(draw):
    yield _writing(draw, [GENERATE, CACHED])


@caches.edge(
    "more tokens than the context holds: ValueError",
    hint="cropping would give the cached positions other numbers",
)
def caches_too_long(draw):
    given, _, _ = _prompts(draw, 2, 5, 3)
    case = _generating(CACHED, given, 20, raises("ValueError"))
    yield Case(case.call, case.shown, also(_ran, raises("ValueError")))


@caches.edge(
    "a model in training generates without dropout, and is in training again afterwards",
    hint="eval() inside, and the mode as it was when it ends",
)
def caches_in_evaluation(draw):
    yield _with_dropout(draw, CACHED)


def _with_dropout(draw: Draw, function) -> Case:
    given, _, expected = _prompts(draw, 2, 5, 9)
    given["config"] = {**given["config"], "dropout": 0.5}

    def judge(seen):
        if seen.flag("still_training") is not True:
            return Finding("the model is left in another mode than it was in")
        return None

    return _generating(function, given, 9, also(_ids_are(expected), judge), training=True)


def _writing(draw: Draw, functions) -> Case:
    """A prompt in characters, continued by each of the functions."""
    given, _, expected = _prompts(draw, 1, 5, 12)
    pool = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    letters = [pool[i] for i in draw.order(len(pool))[: given["config"]["vocab_size"]]]
    in_order = sorted(letters)
    text = "".join(in_order[i] for i in expected[0])

    def judge(seen):
        for step, (_, name) in zip(seen.steps, functions, strict=True):
            if step.value != text:
                return Finding(
                    f"{name} writes another text", expected=repr(text), got=repr(step.value)[:60]
                )
        return None

    shown = " and ".join(name for _, name in functions) + f" after {text[:5]!r}"
    call = {key: given[key] for key in ("config", "weights", "seed")}
    return _case(
        "write", shown, also(no_error, judge), text="".join(letters), prompt=text[:5], n_new=12,
        functions=[list(function) for function in functions], **call,
    )  # fmt: skip
