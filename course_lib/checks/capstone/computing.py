"""The model of a package: the same weights must give the same logits as torch's own functions."""

import math

import numpy as np

from ..cases.check import Check
from ..cases.draw import Draw
from ..judges.expect import Judge, also, differs, no_error, parameters_are, raises
from ..judges.findings import Finding
from ..judges.tolerances import Tolerance
from ..oracles import capstone as oracle
from .runs import EXACT, FLOAT32, LESSON, arrays, run_case, sizes, wrong_shape

computes = Check("computes", "model", LESSON)


def _computing(draw: Draw, judge_of, *, tied=True, gradients=False, dtype="float64"):
    """Logits of drawn weights, of ids and of others that differ from them late in the text."""
    config, seed = sizes(draw, tied=tied), draw.seed()
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
    return run_case(
        "compute", shown, judge, config=config, weights=weights, seed=seed, ids=ids,
        others=others, cotangent=cotangent, dtype=dtype,
    )  # fmt: skip


@computes.core(
    "the parameters have the names and shapes that the lessons give them",
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
            one, other = arrays(seen, 2)
            if one.shape != logits.shape or other.shape != logits.shape:
                return wrong_shape(logits.shape, one.shape)
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


@computes.core(
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
                    return wrong_shape(array.shape, gradient.shape)
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
    sizes_of_one = {"context_length": 32, "d_model": 32, "n_heads": 4, "n_layers": 3}
    config = {**sizes_of_one, "vocab_size": 64}
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

    yield run_case("fresh", "a fresh GPT", also(no_error, judge), config=config, seed=draw.seed())


@computes.edge(
    "more ids than the context holds: ValueError",
    hint="Embeddings raises it: position rows end at context_length",
)
def computes_too_long(draw):
    config = sizes(draw)
    ids = draw.integers(0, config["vocab_size"] - 1, (2, config["context_length"] + 1))
    yield run_case(
        "too long", f"GPT, ids 2×{ids.shape[1]}, context_length=11", raises("ValueError"),
        config=config, ids=ids, seed=draw.seed(),
    )  # fmt: skip


def _logits_are(expected: np.ndarray, tolerance: Tolerance) -> Judge:
    def judge(seen):
        (found,) = arrays(seen, 1)
        if found.shape != expected.shape:
            return wrong_shape(expected.shape, found.shape)
        if not np.isfinite(found).all():
            return Finding("logits that are not finite")
        return differs(found, expected, tolerance, "logits")

    return also(no_error, judge)
