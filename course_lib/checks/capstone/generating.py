"""The text of a package: the likeliest, by chance, and the same with a cache as without."""

import numpy as np

from ..cases.check import Case, Check
from ..cases.draw import Draw
from ..judges.expect import Judge, also, no_error, raises
from ..judges.findings import Finding
from ..judges.seen import Malformed
from ..oracles import capstone as oracle
from .runs import LESSON, arrays, run_case, sizes, wrong_shape

generates = Check("generates", "generation", LESSON)
caches = Check("caches", "cache", LESSON)

# In class: with a cache this takes a third of a second; without one, at least ten.
LONG, LONG_NEW, SECONDS = 2048, 256, 3.0
FAR_TIE = 1e-2  # of float32's logits after so long a text

NEAR_TIE = 1e-3  # of float32's logits: either token may be called the likeliest


GENERATE, CACHED = ("generation", "generate"), ("cache", "generate_cached")


def _prompts(draw: Draw, n_rows: int, n_prompt: int, n_new: int):
    """A model, and prompts whose greedy text varies and is never a near-tie; what it is."""
    while True:
        config, seed = {**sizes(draw), "context_length": 24}, draw.seed()
        weights = oracle.lively_weights(config, seed)
        model = oracle.model_of(config, weights)
        ids = draw.integers(0, config["vocab_size"] - 1, (20, n_prompt))
        expected, leads = oracle.greedy(model, ids, n_new)
        start = n_prompt if n_prompt + n_new <= 24 else 24  # past the context, that part counts
        kinds = np.array([len(set(row)) for row in expected[:, start:].tolist()])
        fit = np.flatnonzero((kinds >= min(3, n_new)) & (leads.min(axis=1) > 1e-6))[:n_rows]
        if len(fit) == n_rows:
            given = {"config": config, "weights": weights, "seed": seed, "ids": ids[fit]}
            return given, model, expected[fit]


def _generating(function, given: dict, n_new: int, judge: Judge, **options) -> Case:
    call = {"sampling": {"temperature": 0.0}, "training": False, "draws": False, **options}
    n_rows, n_prompt = given["ids"].shape
    shown = f"{function[1]}(model, ids {n_rows}×{n_prompt}, {n_new})"
    told = "".join(f", {name}={value}" for name, value in call["sampling"].items())
    return run_case(
        "generate", f"{shown[:-1]}{told})", judge, function=list(function), n_new=n_new,
        **given, **call,
    )  # fmt: skip


def _ids_are(expected: np.ndarray, model=None) -> Judge:
    """Exactly these ids; with a model, another one may be right where the two nearly tie."""

    def judge(seen):
        (found,) = arrays(seen, 1)
        if found.dtype.kind != "i":
            return Finding("wrong dtype", expected="token ids: int64", got=str(found.dtype))
        if found.shape != expected.shape:
            return wrong_shape(expected.shape, found.shape)
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

    return also(no_error, judge)


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
        (found,) = arrays(seen, 1)
        if found.dtype.kind != "i" or found.shape != (n_rows, 8):
            return wrong_shape((n_rows, 8), found.shape)
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
        GENERATE,
        given,
        1,
        also(no_error, judge),
        sampling={"temperature": 3.0, "top_k": 5},
        draws=True,
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
    yield _in_time(draw)


def _in_time(draw: Draw) -> Case:
    """So long a text that computing it again at every step takes far too long."""
    small = {"vocab_size": 29, "d_model": 64, "n_heads": 2, "n_layers": 1}
    config, seed = {**sizes(draw), **small, "context_length": LONG + LONG_NEW}, draw.seed()
    weights = oracle.drawn_weights(config, seed)
    model = oracle.model_of(config, weights)
    ids = draw.integers(0, config["vocab_size"] - 1, (1, LONG))

    def judge(seen):
        if seen.error and seen.error["type"] == "RuntimeError" and not seen.outputs:
            return Finding(
                f"{LONG_NEW} tokens behind {LONG} took longer than {SECONDS:g} s",
                expected="each position computed once",
                got=seen.error["message"][:100],
            )
        return no_error(seen) or is_likely(seen)

    def is_likely(seen):
        (found,) = arrays(seen, 1)
        if found.dtype.kind != "i" or found.shape != (1, LONG + LONG_NEW):
            return wrong_shape((1, LONG + LONG_NEW), found.shape)
        new = np.clip(found[0, LONG:], 0, config["vocab_size"] - 1)
        if (found[:, :LONG] != ids).any() or (found[0, LONG:] != new).any():
            return Finding("the text does not begin with the prompt, or holds what is no token")
        logits = oracle.logits_of(model, found[:, :-1])[0, LONG - 1 :]
        behind = logits.max(axis=-1) - logits[np.arange(LONG_NEW), new]
        if behind.max() < FAR_TIE:
            return None
        place = int(np.argmax(behind >= FAR_TIE))
        return Finding(
            f"new token {place} is not the likeliest",
            expected=str(int(logits[place].argmax())), got=str(int(new[place])),
        )  # fmt: skip

    given = {"config": config, "weights": weights, "seed": seed, "ids": ids}
    limits = {"wall_seconds": SECONDS}
    return _generating(CACHED, given, LONG_NEW, judge, dtype="float32", limits=limits)


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
    yield _generating(CACHED, given, 20, raises("ValueError"))


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
        (looked,) = seen.steps
        one, other = arrays(looked, 2)  # of the same ids: dropout shows
        if one.shape != (*given["ids"].shape, given["config"]["vocab_size"]):
            raise Malformed("afterwards")
        if seen.flag("still_training") is not True or np.allclose(one, other):
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
    return run_case(
        "write", shown, also(no_error, judge), text="".join(letters), prompt=text[:5], n_new=12,
        functions=[list(function) for function in functions], **call,
    )  # fmt: skip
