"""What must hold of lesson 7: first weights, the whole model, its size, and GPT-2's weights."""

import math
from dataclasses import asdict, fields, replace

import numpy as np

from ..cases.check import Case, ComponentCheck, Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    raises,
    returns,
    same_device,
)
from ..judges.findings import Finding, number
from ..judges.seen import Malformed
from ..judges.tolerances import BY_DTYPE, Tolerance
from ..observe.given.models import ReferenceConfig
from ..oracles import model as oracles

LESSON = "07_the_model"
DROPOUT = 0.4
STANDARD = 0.02  # CONTRACTS.md: of matrices and embeddings
FAR = 6.0  # standard errors: chance takes an estimate so far once in 10⁹ times
WITHIN_ONE = math.erf(1 / math.sqrt(2))  # the share of a normal distribution within one deviation
FIRST_LOSS = 0.15  # how far a fresh model's loss may be from ln V; with N(0, 1) it is off by units
BY_CHANCE = Tolerance(1e-6, 1e-6)  # what is left to chance is which numbers, not their values
# Two blocks, each rounding some ten times, and a head that sums over all channels.
HALF = {"bfloat16": Tolerance(1e-1, 2e-1), "float16": Tolerance(2e-2, 3e-2)}
TIED = ["embeddings.token.weight", "head.weight"]

init_weights = ComponentCheck("init_weights", "model", LESSON)
gpt = ComponentCheck("GPT", "model", LESSON)
n_parameters = ComponentCheck("n_parameters", "model", LESSON)
load_gpt2 = ComponentCheck("load_gpt2", "model", LESSON)


# --- configs and weights ---


def _config(draw: Draw, **changes) -> ReferenceConfig:
    """A small model whose sizes are all different."""
    vocab_size, context_length, n_heads, d_head = draw.sizes(4, largest=9)
    sizes = {
        "vocab_size": vocab_size,
        "context_length": context_length,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
    }
    return ReferenceConfig(**(sizes | changes))


def _shown(config: ReferenceConfig) -> str:
    """A config as one would type it: sizes, and what is not as usual."""
    sizes = [str(getattr(config, field.name)) for field in fields(config)[:5]]
    others = [
        f"{field.name}={getattr(config, field.name)!r}"
        for field in fields(config)[5:]
        if getattr(config, field.name) != field.default
    ]
    return f"GPTConfig({', '.join(sizes + others)})"


def _weights(draw: Draw, config: ReferenceConfig, dtype: str = "float64") -> dict:
    """Weights with which every part has a say; no two tensors, tied ones aside, are alike."""
    weights = {}
    for name, shape in oracles.state_shapes(config).items():
        values = draw.normal(*shape)
        if len(shape) == 1:
            values = 0.3 * values + (1.0 if name.endswith("weight") else 0.0)
        elif not name.startswith("embeddings"):
            values /= math.sqrt(shape[1])
        weights[name] = exact_in(values, dtype)
    if config.tie_weights:
        weights["head.weight"] = weights["embeddings.token.weight"] = exact_in(
            weights["head.weight"] * 3, dtype
        )
    return weights


def _ids(draw: Draw, config: ReferenceConfig, n_texts=2, n_tokens=None) -> np.ndarray:
    n_tokens = config.context_length - 1 if n_tokens is None else n_tokens
    return draw.integers(0, config.vocab_size - 1, (n_texts, n_tokens))


# --- judges: what a model is made of, and its first weights ---


def _has_the_state(config: ReferenceConfig):
    """Judge: `state_dict()` holds exactly the contract's names and shapes, all of them learned."""
    expected = oracles.state_shapes(config)

    def judge(seen):
        if seen.flag("parameters") is None:
            return no_error(seen) or Finding("no model was made")
        found = seen.parameters
        missing = [name for name in expected if name not in found]
        surplus = [name for name in found if name not in expected]
        if missing or surplus:
            return Finding(
                "wrong names in state_dict()",
                expected=_some(missing, expected, "is missing", "are missing"),
                got=_some(surplus, found, "should not be there", "should not be there"),
            )
        for name, shape in expected.items():
            if found[name] != shape:
                return Finding(
                    f"wrong shape of {name}", expected=str(shape), got=str(found[name])[:60]
                )
        trainable = seen.flag("trainable")
        frozen = [name for name in expected if name not in (trainable or [])]
        if frozen:
            return Finding(f"{frozen[0]} is not learned", expected="an nn.Parameter")
        return None

    return judge


def _some(names: list[str], shapes: dict, one: str, several: str) -> str:
    if not names:
        return "no other names" if one.startswith("is") else "none that is new"
    first = f"{names[0][:60]} {str(shapes[names[0]])[:40]}"
    return f"{first} {one}" if len(names) == 1 else f"{first} and {len(names) - 1} more {several}"


def _attribute(seen, name: str):
    attributes = seen.flag("attributes")
    if not isinstance(attributes, dict) or name not in attributes:
        raise Malformed("attributes")
    return attributes[name]


def _is_made_of(config: ReferenceConfig):
    """Judge: the parts that later lessons reach for, besides the tensors' names."""

    def judge(seen):
        kinds = _attribute(seen, "blocks")
        if "ModuleList" not in kinds:
            return Finding("wrong .blocks", expected="an nn.ModuleList", got=str(kinds[0])[:60])
        found = _attribute(seen, "config")
        if not isinstance(found, dict):
            raise Malformed("config")
        for name, value in asdict(config).items():
            if found.get(name) != value:
                return Finding(
                    f"wrong .config.{name}", expected=repr(value), got=str(found.get(name))[:60]
                )
        return None

    return judge


def _shares(*groups: list[str]):
    """Judge: the tensors of these groups are one each, and all others are tensors of their own."""
    wanted = sorted(groups)

    def judge(seen):
        found = _attribute(seen, "shared")
        if found == wanted:
            return None
        surplus = [group for group in found if group not in wanted]
        if surplus:
            names = surplus[0]
            return Finding(
                f"{str(names[0])[:50]} and {str(names[1])[:50]} are one tensor",
                expected="a tensor of its own for each",
            )
        return Finding(
            "head.weight is not the tensor of the token embedding",
            expected="one tensor with two names: a step on one moves the other",
            got="two tensors",
        )

    return judge


def _tie(config: ReferenceConfig) -> list[list[str]]:
    return [TIED] if config.tie_weights else []


def _target(name: str, config: ReferenceConfig) -> tuple[float, str]:
    """The standard deviation that a matrix begins with, and how it comes about."""
    if name.endswith(("attention.out.weight", "mlp.down.weight")):
        narrow = STANDARD / math.sqrt(2 * config.n_layers)
        return narrow, f"about {narrow:.3g}, which is 0.02 / sqrt(2L) with L = {config.n_layers}"
    return STANDARD, "about 0.02"


def _fresh_matrices(config: ReferenceConfig, which=lambda name: True):
    """Judge: matrices and embeddings are normal, with the mean and spread of the contract."""

    def judge(seen):
        found = _fresh(seen, config)
        scaled = []
        for name, values in found.items():
            if values.ndim < 2 or not which(name):
                continue
            spread, shown = _target(name, config)
            finding = _spread_is(name, values, spread, shown) or _mean_is(name, values, spread)
            if finding:
                return finding
            scaled.append(values.ravel() / spread)
        together = np.concatenate(scaled)
        spread = together.std()
        if abs(spread - 1) > FAR / math.sqrt(2 * together.size):
            return Finding(
                "wrong spread of all matrices together",
                expected="1 after division by the standard deviation that each should have",
                got=number(spread),
            )
        return None

    return judge


def _fresh(seen, config) -> dict:
    """The values of a fresh state, with the names and shapes that it must have."""
    found = seen.initial
    shapes = {name: None if v is None else v.shape for name, v in found.items()}
    if shapes != oracles.state_shapes(config):
        raise Malformed("initial")
    return found


def _all_finite(seen):
    """Judge: no tensor of a fresh state holds nan or infinity."""
    for name, values in seen.initial.items():
        if values is not None and not np.isfinite(values).all():
            return Finding(f"{name[:60]} holds nan or infinity", expected="finite numbers")
    return None


def _spread_is(name: str, values, spread: float, shown: str):
    found = values.std()
    if abs(found / spread - 1) > FAR / math.sqrt(2 * values.size):
        return Finding(f"wrong standard deviation of {name}", expected=shown, got=f"{found:.3g}")
    return None


def _mean_is(name: str, values, spread: float):
    if abs(values.mean()) > FAR * spread / math.sqrt(values.size):
        return Finding(f"wrong mean of {name}", expected="about 0", got=f"{values.mean():.3g}")
    return None


def _fresh_vectors(config: ReferenceConfig, which=lambda name: True):
    """Judge: biases are 0, and the weights of norms 1."""

    def judge(seen):
        for name, values in _fresh(seen, config).items():
            if values.ndim == 1 and which(name):
                wanted = np.full(values.shape, 1.0 if name.endswith("weight") else 0.0)
                finding = differs(values, wanted, Tolerance(0.0, 0.0), name)
                if finding:
                    return finding
        return None

    return judge


def _normal(config: ReferenceConfig):
    """Judge: of the numbers of each matrix, as many lie within one deviation as must."""

    def judge(seen):
        for name, values in _fresh(seen, config).items():
            if values.ndim == 2:
                share = (np.abs(values - values.mean()) < values.std()).mean()
                error = math.sqrt(WITHIN_ONE * (1 - WITHIN_ONE) / values.size)
                if abs(share - WITHIN_ONE) > FAR * error:
                    return Finding(
                        f"{name} is not normally distributed",
                        expected=f"{WITHIN_ONE:.0%} of its numbers within one standard deviation",
                        got=f"{share:.0%}",
                    )
        return None

    return judge


def _drawn_apart(config: ReferenceConfig):
    """Judge: no two matrices hold the same numbers, unless they are one."""

    def judge(seen):
        for names in _attribute(seen, "equal"):
            if names not in _tie(config):
                return Finding(
                    f"{str(names[0])[:50]} and {str(names[1])[:50]} hold the same numbers",
                    expected="each drawn by itself",
                )
        return None

    return judge


# --- init_weights ---


def _wide_config(**changes) -> ReferenceConfig:
    """Sizes at which a standard deviation is known within a few percent."""
    sizes = {"vocab_size": 61, "context_length": 37, "d_model": 35, "n_heads": 5, "n_layers": 3}
    return ReferenceConfig(**(sizes | changes))


def _init_case(judge, *, dtype="float64", **changes) -> Case:
    config = _wide_config(**changes)
    call = {"probe": "init_weights", "dtype": dtype, "args": [], "kwargs": {}, "random": True}
    case = Case(call | {"config": asdict(config)}, f"init_weights(GPT({_shown(config)})), {dtype}")
    return case.expect(also(no_error, _has_the_state(config), _all_finite, judge(config)))


def _is_residual(name: str) -> bool:
    return name.endswith(("attention.out.weight", "mlp.down.weight"))


@init_weights.core(
    "matrices and embeddings are normal with mean 0 and standard deviation 0.02",
    hint="go through model.named_parameters(); nn.init.normal_(tensor, std=0.02)",
)
def init_weights_matrices(draw: Draw):
    def judge(config):
        return _fresh_matrices(config, lambda name: not _is_residual(name))

    for changes in ({}, {"tie_weights": False}, {"bias": False, "n_layers": 2}):
        yield _init_case(judge, **changes)


@init_weights.core(
    "attention.out and mlp.down, which write into the stream, get 0.02 / sqrt(2L)",
    hint="L is len(model.blocks); each block writes twice, hence 2L",
)
def init_weights_residual(draw: Draw):
    def judge(config):
        return _fresh_matrices(config, _is_residual)

    for changes in ({}, {"n_layers": 1}, {"tie_weights": False, "n_layers": 5}):
        yield _init_case(judge, **changes)


@init_weights.core(
    "biases become 0, the norms' weights 1",
    hint="a bias ends in 'bias'; of what has one axis only, the rest are the norms' weights",
)
def init_weights_vectors(draw: Draw):
    yield _init_case(_fresh_vectors)
    yield _init_case(_fresh_vectors, bias=False, n_layers=1)


@init_weights.edge(
    "in place: the model keeps its tensors, and what was tied stays tied",
    hint="nn.init.normal_(parameter) fills the tensor that is there; nn.Parameter(…) makes another",
)
def init_weights_in_place(draw: Draw):
    def judge(config):
        def kept(seen):
            replaced = _attribute(seen, "replaced")
            if replaced:
                return Finding(
                    f"{str(replaced[0])[:60]} is another tensor than before",
                    expected="the same tensor with other numbers: an optimizer may hold it already",
                )
            return None

        return also(_shares(*_tie(config)), kept)

    for changes in ({}, {"tie_weights": False}):
        yield _init_case(judge, **changes)


@init_weights.edge("it returns None", hint="leave the return out")
def init_weights_returns_none(draw: Draw):
    def judge(config):
        def nothing(seen):
            if seen.structure == "NoneType":
                return None
            return Finding("something came back", expected="None", got=f"a {seen.structure}")

        return nothing

    yield _init_case(judge)


@init_weights.edge(
    "the numbers of each matrix are normal, and each matrix is drawn by itself",
    hint="normal_, not uniform_; one call for each tensor, and no seed in between",
)
def init_weights_distribution(draw: Draw):
    def judge(config):
        return also(_normal(config), _drawn_apart(config))

    for changes in ({}, {"tie_weights": False}):
        yield _init_case(judge, **changes)


@init_weights.edge(
    "tensors keep their dtype", hint="fill what is there instead of putting something new"
)
def init_weights_dtype(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _init_case(lambda config, dtype=dtype: _has_dtype(dtype), dtype=dtype)


# --- GPT ---


def _gpt_case(
    draw: Draw,
    config: ReferenceConfig,
    ids=None,
    *,
    weights=None,
    judge=None,
    dtype="float64",
    tolerance=None,
    **options,
) -> Case:
    """A model with drawn weights reads drawn ids; right when its logits are the reference's."""
    ids = _ids(draw, config) if ids is None else ids
    weights = _weights(draw, config, dtype) if weights is None else weights
    if judge is None:
        judge = returns(
            oracles.logits(config, weights, ids), dtype=dtype, tolerance=tolerance, names=["logits"]
        )
    case = gpt.build(x=ids, weights=weights, dtype=dtype, **options)
    return replace(
        case,
        call=case.call | {"probe": "gpt", "config": asdict(config)},
        shown=case.shown.replace("GPT()", f"GPT({_shown(config)})"),
    ).expect(also(_has_the_state(config), judge))


def _fresh_case(config: ReferenceConfig, ids: np.ndarray, judge) -> Case:
    """A model as it is made, float32, reads ids."""
    call = {
        "probe": "gpt",
        "dtype": "float32",
        "args": [ids],
        "kwargs": {},
        "weights": None,
        "random": True,
        "config": asdict(config),
    }
    shown = f"GPT({_shown(config)})(ids {ids.shape[0]}×{ids.shape[1]}), as it was made"
    return Case(call, shown).expect(also(_has_the_state(config), _all_finite, judge))


@gpt.core(
    "its parts are embeddings, blocks, norm and head, and its config is kept",
    hint="Embeddings, an nn.ModuleList of Block, LayerNorm, and nn.Linear without a bias",
)
def gpt_parts(draw: Draw):
    for changes in ({}, {"tie_weights": False, "n_layers": 3}, {"n_layers": 1}):
        config = _config(draw, **changes)
        yield _gpt_case(draw, config, judge=_is_made_of(config))


@gpt.core(
    "blocks share nothing, and head and token embedding are one tensor exactly when tied",
    hint="self.head.weight = self.embeddings.token.weight, if config.tie_weights",
)
def gpt_sharing(draw: Draw):
    for tie_weights in (True, False):
        config = _config(draw, tie_weights=tie_weights, n_layers=3)
        yield _gpt_case(draw, config, judge=_shares(*_tie(config)))


@gpt.core(
    "no position sees a later one, whatever stands there",
    hint="causal_mask(T, device=ids.device) goes to every block",
)
def gpt_causal(draw: Draw):
    for loudness in (1.0, 100.0):
        n_same = int(draw.integers(2, 5))
        yield _hostile_case(draw, loudness, n_same, judge=_same_past(n_same))


def _hostile_case(draw: Draw, loudness: float, n_same: int, **options) -> Case:
    """Four texts that begin alike and end in tokens that shout, to heads that listen closely."""
    config = _config(draw, vocab_size=9, context_length=7, tie_weights=False)
    weights = _weights(draw, config)
    for name in weights:
        if name.endswith("qkv.weight"):
            weights[name] = loudness * weights[name]
    weights["embeddings.token.weight"][5:] *= loudness
    ids = _ids(draw, config, 4, 7)
    ids[:, :n_same] = draw.integers(0, 4, n_same)
    ids[:, n_same:] = 5 + draw.order(4)[:, None]
    return _gpt_case(draw, config, ids, weights=weights, **options)


def _same_past(n_same: int):
    """Judge: texts that are alike up to a place have the same logits up to it."""

    def judge(seen):
        finding = no_error(seen)
        array = None if finding or not seen.outputs else seen.outputs[0].array
        if finding or array is None or array.ndim != 3:
            return finding  # the judge after this one says what it is instead
        past = array[:, :n_same].astype(np.float64)
        same = np.isclose(past, past[:1], rtol=1e-7, atol=1e-8).all(axis=-1)
        if same.all():
            return None
        text, position = map(int, np.argwhere(~same)[0])
        return Finding(
            f"the logits at position {position} change with what comes later",
            expected=f"text {text} as text 0: their tokens are the same up to {n_same - 1}",
        )

    return judge


@gpt.core(
    "logits: embeddings, then one block after the other, then norm, then head",
    hint="x goes through every block in turn; norm and head come once, at the end",
)
def gpt_values(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"n_layers": 1}, {"n_layers": 3}):
        yield _gpt_case(draw, _config(draw, **changes))
    config = _config(draw)
    for n_texts, n_tokens in ((1, 1), (3, config.context_length), (2, 2)):
        yield _gpt_case(draw, config, _ids(draw, config, n_texts, n_tokens))
    # as many texts as tokens, as heads, and as many channels as tokens in the vocabulary
    square = _config(draw, vocab_size=9, context_length=3, d_model=9, n_heads=3, n_layers=3)
    for tie_weights in (True, False):
        config = replace(square, tie_weights=tie_weights)
        yield _gpt_case(draw, config, _ids(draw, config, 3, 3))
    yield _gpt_case(draw, _config(draw), dtype="float32")
    long = _config(draw, context_length=70)
    yield _gpt_case(draw, long, _ids(draw, long, 1, 70))
    # scores of ten thousands leave some ten digits for the weights
    yield _hostile_case(draw, 100.0, 3, tolerance=Tolerance(1e-7, 1e-6))


@gpt.core(
    "a fresh model has the weights of init_weights, and a loss near ln V",
    hint="init_weights(self), as the last line of __init__; tie before it",
)
def gpt_starts(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False, "n_layers": 2}):
        config = _wide_config(**changes)
        ids = _ids(draw, config, 4, config.context_length)
        targets = _ids(draw, config, 4, config.context_length)
        judge = also(
            _loss_is_that_of_guessing(targets, config),
            _fresh_matrices(config),
            _fresh_vectors(config),
            _drawn_apart(config),
        )
        yield _fresh_case(config, ids, judge)


def _loss_is_that_of_guessing(targets: np.ndarray, config: ReferenceConfig):
    """Judge: the mean of -log p of random targets is ln V, but for little."""
    shape = np.zeros((*targets.shape, config.vocab_size))

    def judge(seen):
        finding = returns(shape, dtype="float32", skip_values=True, names=["logits"])(seen)
        if finding:
            return finding
        logits = seen.outputs[0].array
        highest = logits.max(axis=-1, keepdims=True)
        norms = highest[..., 0] + np.log(np.exp(logits - highest).sum(axis=-1))
        loss = (norms - np.take_along_axis(logits, targets[..., None], -1)[..., 0]).mean()
        guessing = math.log(config.vocab_size)
        if abs(loss - guessing) < FIRST_LOSS:
            return None
        return Finding(
            "the first loss is not that of guessing",
            expected=f"about {guessing:.2f}, ln {config.vocab_size}",
            got=f"{loss:.2f}",
        )

    return judge


@gpt.core(
    "gradients reach every weight; a tied one gets those of both its places",
    hint="detach(), .data and no_grad() cut the way back",
)
def gpt_gradients(draw: Draw):
    for tie_weights in (True, False):
        config = _config(draw, tie_weights=tie_weights)
        ids, weights = _ids(draw, config), _weights(draw, config)
        cotangent = draw.normal(*ids.shape, config.vocab_size)
        expected = oracles.gradients(config, weights, ids, cotangent)
        judge = also(_shares(*_tie(config)), _gradients_are(expected))
        given = {"weights": weights, "cotangents": [cotangent], "training": tie_weights}
        yield _gpt_case(draw, config, ids, judge=judge, **given)


def _gradients_are(expected: dict):
    """Judge: these gradients. A tied tensor may go by either of its names."""

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        found = seen.gradients
        token, head = TIED
        renamed = dict(expected)
        if head not in expected and head in found and token not in found:
            renamed[head] = renamed.pop(token)
        return gradients_are(renamed, "float64", {})(seen)

    return judge


@gpt.core(
    "the same in training as in evaluation, whatever texts came before",
    hint="without dropout nothing depends on the mode; forward keeps nothing between calls",
)
def gpt_modes(draw: Draw):
    config = _config(draw, context_length=9)
    yield _gpt_case(draw, config, training=True)
    for n_tokens, before in ((3, 8), (8, 3)):
        ids, earlier = _ids(draw, config, 2, n_tokens), _ids(draw, config, 3, before)
        yield _gpt_case(draw, config, ids, warm_up=[earlier])


@gpt.edge(
    "bias=False takes the bias from every part, and gelu_approximate reaches the blocks",
    hint="bias=config.bias for the blocks and for the last norm; approximate=… for the blocks",
)
def gpt_options(draw: Draw):
    for changes in ({"bias": False}, {"gelu_approximate": "tanh"}):
        for tie_weights in (True, False):
            config = _config(draw, tie_weights=tie_weights, **changes)
            loud = _weights(draw, config)
            for name in loud:  # the two GELUs differ by 1e-3 at most, and most near 2
                if name.endswith("up.weight"):
                    loud[name] = 2 * loud[name]
            yield _gpt_case(draw, config, weights=loud)


@gpt.edge(
    "in training, dropout acts in every block and nowhere else",
    hint="dropout=config.dropout for the blocks; embeddings, norm and head have none",
)
def gpt_dropout(draw: Draw):
    config = _config(draw, dropout=DROPOUT)
    weights = _weights(draw, config)
    for name in weights:
        if ".attention.out." in name or ".mlp.down." in name:
            weights[name] = np.zeros_like(weights[name])
    yield _gpt_case(draw, config, weights=weights, training=True, random=True)
    for n in range(config.n_layers):
        for part in ("attention.out", "mlp.down"):
            yield _dropout_case(draw, f"blocks.{n}.{part}.bias")


def _dropout_case(draw: Draw, name: str) -> Case:
    """All is silent but one bias, and the head shows the stream: what is dropped can be counted."""
    config = ReferenceConfig(15, 7, 15, 3, 2, dropout=DROPOUT, tie_weights=False)
    weights = {key: np.zeros(shape) for key, shape in oracles.state_shapes(config).items()}
    for key in weights:
        if "norm" in key and key.endswith("weight"):
            weights[key][:] = 1.0
    weights["head.weight"] = np.eye(15)
    weights[name] = np.full(15, 2.0)
    shape = np.zeros((16, 7, 15))

    def judge(seen):
        finding = returns(shape, dtype="float64", skip_values=True, names=["logits"])(seen)
        if finding:
            return finding
        output = seen.outputs[0].array
        lowest, highest = output.min(axis=-1, keepdims=True), output.max(axis=-1, keepdims=True)
        if (highest - lowest).max() < 1e-3:
            return Finding(f"nothing of {name} is dropped", expected=f"about {DROPOUT:.0%} of it")
        dropped = output < (lowest + highest) / 2
        share = dropped.mean()
        if abs(share - DROPOUT) > 0.1:  # of 1,680 numbers: chance takes it 0.07 away, once in 10⁸
            return Finding(
                f"the wrong share of {name} is dropped", f"about {DROPOUT:.0%}", f"{share:.0%}"
            )
        stream = np.where(dropped, 0.0, 2.0 / (1 - DROPOUT))
        centred = stream - stream.mean(axis=-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        return differs(output, normed, BY_CHANCE, "logits")

    ids = _ids(draw, config, 16, 7)
    return _gpt_case(draw, config, ids, weights=weights, judge=judge, training=True, random=True)


@gpt.edge(
    "in evaluation, dropout does nothing", hint="nn.Dropout knows the mode; F.dropout must be told"
)
def gpt_dropout_rests(draw: Draw):
    config = _config(draw, dropout=DROPOUT)
    yield _gpt_case(draw, config)
    earlier = _ids(draw, config)
    yield _gpt_case(draw, config, warm_up=[earlier], warm_up_training=True)


@gpt.edge(
    "more tokens than context_length: ValueError that says how many there may be",
    hint="Embeddings refuses them already; do not cut ids to fit",
)
def gpt_refuses(draw: Draw):
    config = _config(draw, context_length=7)
    for n_tokens in (8, 15):
        ids = _ids(draw, config, 2, n_tokens)
        yield _gpt_case(draw, config, ids, judge=_refuses(7, n_tokens))


def _refuses(longest: int, n_tokens: int):
    """Judge: a ValueError that names either side of what does not fit, and its number."""

    def judge(seen):
        either = (
            raises("ValueError", "context", str(longest)),
            raises("ValueError", "ids", str(n_tokens)),
        )
        first, second = (one(seen) for one in either)
        return first if second else None

    return judge


@gpt.edge(
    "its parts work one by one as well: a cache will call them so, from any position on",
    hint="Embeddings takes (ids, offset), and Block is made of norm1, attention, norm2 and mlp",
)
def gpt_by_parts(draw: Draw):
    for offset in (0, 3):
        config = _config(draw, context_length=9)
        ids, weights = _ids(draw, config, 2, 5), _weights(draw, config)
        table = weights["embeddings.position.weight"]
        moved = weights | {"embeddings.position.weight": np.roll(table, -offset, axis=0)}
        judge = returns(oracles.logits(config, moved, ids), dtype="float64", names=["logits"])
        case = _gpt_case(draw, config, ids, weights=weights, judge=judge)
        note = f"{case.shown}, part by part from position {offset} on"
        yield replace(case, call=case.call | {"by_parts": offset}, shown=note)


@gpt.edge(
    "half-precision weights give half-precision logits, close to the exact ones",
    hint="make no tensor of a fixed dtype inside forward",
)
def gpt_half(draw: Draw):
    for dtype, tolerance in HALF.items():
        yield _gpt_case(draw, _config(draw), dtype=dtype, tolerance=tolerance)


@gpt.edge("ids are not changed, and every tensor is made on their device", hint="device=ids.device")
def gpt_leaves_ids(draw: Draw):
    config = _config(draw)
    yield _gpt_case(draw, config, judge=arguments_unchanged(["ids"]))
    yield _gpt_case(draw, config, judge=same_device, watch_devices=True)


# --- n_parameters ---


def _count_case(config: ReferenceConfig, expected: int, *, judge=None, **more) -> Case:
    options = {"shared": [], "without_memory": False, "head_first": False, "kwargs": {}} | more
    call = {"probe": "n_parameters", "dtype": "float32", "args": [], "config": asdict(config)}
    given = "".join(f", {name}={value}" for name, value in options["kwargs"].items())
    where = ", on meta" if options["without_memory"] else ""
    where += ", its head made first" if options["head_first"] else ""
    shown = f"n_parameters(GPT({_shown(config)}){given}){where}"
    case = Case(call | options, shown)
    return case.expect(judge or _counts(expected))


def _counts(expected: int):
    """Judge: this number, of whatever type."""

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        array = seen.outputs[0].array if len(seen.outputs) == 1 else None
        if array is None or array.size != 1:
            return Finding("no number came back", expected=f"{expected:,}", got=seen.structure)
        if float(array.ravel()[0]) != expected:
            return Finding(
                "wrong count", expected=f"{expected:,}", got=f"{float(array.ravel()[0]):,g}"
            )
        return None

    return judge


@n_parameters.core(
    "every number that is learned counts, and a tied head counts once",
    hint="model.parameters() names a shared tensor once; .numel() is how many numbers it holds",
)
def n_parameters_counts(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False}, {"n_layers": 3}):
        config = _config(draw, **changes)
        yield _count_case(config, oracles.count(config))
        yield _count_case(config, oracles.count(config), kwargs={"embeddings": True})


@n_parameters.core(
    "embeddings=False leaves out both tables, and the head where it is tied to one",
    hint="leave out the tensors that are among model.embeddings.parameters()",
)
def n_parameters_without_embeddings(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False}, {"n_layers": 3}):
        config = _config(draw, **changes)
        expected = oracles.count(config, embeddings=False)
        for head_first in (False, True):  # then head.weight is the tied tensor's first name
            yield _count_case(config, expected, head_first=head_first, kwargs={"embeddings": False})


@n_parameters.edge(
    "the count is an int, and the model is as before", hint="sum of numel(), which are ints"
)
def n_parameters_is_an_int(draw: Draw):
    def an_int(seen):
        if seen.outputs[0].kind != "number" or seen.outputs[0].dtype != "int":
            output = seen.outputs[0]
            return Finding(
                "wrong type", expected="an int", got=f"a {output.kind} of {output.dtype}"
            )
        return None

    for kwargs in ({}, {"embeddings": False}):
        config = _config(draw)
        expected = oracles.count(config, **kwargs)
        judge = also(_counts(expected), an_int, arguments_unchanged(["model"]))
        yield _count_case(config, expected, judge=judge, kwargs=kwargs)


@n_parameters.edge(
    "whatever is shared counts once, not the head alone",
    hint="compare tensors by identity: a set of parameters holds each once",
)
def n_parameters_shared(draw: Draw):
    config = _config(draw, n_layers=3)
    pairs = [["blocks.2.mlp.up.weight", "blocks.0.mlp.up.weight"]]
    once_less = 4 * config.d_model**2
    for kwargs in ({}, {"embeddings": False}):
        expected = oracles.count(config, **kwargs) - once_less
        yield _count_case(config, expected, shared=pairs, kwargs=kwargs)


@n_parameters.edge(
    "a model without memory, on the device meta, is counted like any other",
    hint="all tensors on meta have the address 0: tell them apart by id, not by data_ptr()",
)
def n_parameters_on_meta(draw: Draw):
    for tie_weights in (True, False):
        config = _config(draw, tie_weights=tie_weights)
        for kwargs in ({}, {"embeddings": False}):
            expected = oracles.count(config, **kwargs)
            yield _count_case(config, expected, without_memory=True, kwargs=kwargs)


# --- load_gpt2 ---


def _load_case(
    draw: Draw,
    config: ReferenceConfig,
    *,
    judge=None,
    dtype="float32",
    prefix="transformer.",
    change=None,
    weights=None,
    note="",
) -> Case:
    """Drawn weights under their names, perhaps changed, and the model that is made of them.

    Args:
        change: a function that writes into the tensors before they are given.
        note: what is special about them, for messages.
    """
    weights = _weights(draw, config, dtype) if weights is None else weights
    tensors = oracles.gpt2_layout(weights, prefix)
    if change:
        change(tensors)
    ids = _ids(draw, config)
    if judge is None:
        judge = _loaded(config, weights, ids, dtype)
    call = {
        "probe": "load_gpt2",
        "dtype": dtype,
        "args": [ids],
        "kwargs": {},
        "tensors": tensors,
        "config": asdict(config),
    }
    said = f"state_dict of {len(tensors)} tensors" + (f", {note}" if note else "")
    return Case(call, f"load_gpt2({said}; {_shown(config)}), {dtype}").expect(judge)


def _loaded(config: ReferenceConfig, weights: dict, ids, dtype: str):
    """Judge: every weight in its place, and the logits of the reference."""
    expected = oracles.logits(config, weights, ids)

    def in_place(seen):
        found = _fresh(seen, config)
        for name, array in weights.items():
            finding = differs(found[name], array, Tolerance(0.0, 0.0), name)
            if finding:
                return finding
        return None

    agree = returns(
        expected, dtype=dtype, names=["logits"], tolerance=HALF.get(dtype, BY_DTYPE[dtype])
    )
    return also(no_error, _has_the_state(config), _has_dtype(dtype), in_place, agree)


def _has_dtype(dtype: str):
    """Judge: all tensors of the model have this dtype."""

    def judge(seen):
        found = _attribute(seen, "dtypes")
        if found == [dtype]:
            return None
        return Finding(
            "wrong dtype of the weights", expected=dtype, got=" and ".join(map(str, found))[:60]
        )

    return judge


@load_gpt2.core(
    "each tensor goes to its place, turned where GPT-2 keeps its inputs first",
    hint="c_attn, c_proj and c_fc are (in, out), nn.Linear is (out, in): .T, square ones too",
)
def load_gpt2_values(draw: Draw):
    for changes in ({}, {"gelu_approximate": "tanh"}, {"n_layers": 1}):
        yield _load_case(draw, _config(draw, **changes))
    square = ReferenceConfig(9, 9, 9, 3, 2)
    yield _load_case(draw, square)


@load_gpt2.core("with or without the prefix transformer.", hint='name.removeprefix("transformer.")')
def load_gpt2_prefix(draw: Draw):
    yield _load_case(draw, _config(draw), prefix="")
    yield _load_case(draw, _config(draw, tie_weights=False), prefix="")


@load_gpt2.core(
    "the order of the tensors does not count, and block 10 is not block 2",
    hint="go by the names: sorted as text, h.10 comes before h.2",
)
def load_gpt2_order(draw: Draw):
    config = ReferenceConfig(5, 3, 4, 2, 11)

    def shuffle(tensors):
        names = list(tensors)
        shuffled = {names[n]: tensors[names[n]] for n in draw.order(len(names))}
        tensors.clear()
        tensors.update(shuffled)

    yield _load_case(draw, config, change=shuffle, note="in any order")


@load_gpt2.core(
    "a tied head may be missing or there; one that is not tied is loaded",
    hint="when tied, take wte.weight for a missing lm_head.weight",
)
def load_gpt2_head(draw: Draw):
    def no_head(tensors):
        del tensors["lm_head.weight"]

    for prefix in ("transformer.", ""):
        yield _load_case(
            draw, _config(draw), prefix=prefix, change=no_head, note="no lm_head.weight"
        )
    yield _load_case(draw, _config(draw, tie_weights=False))


@load_gpt2.core(
    "attn.bias and attn.masked_bias are masks and are ignored; c_attn.bias is not",
    hint='".attn.bias" and ".attn.masked_bias", with the dot: c_attn.bias ends in "attn.bias" too',
)
def load_gpt2_masks(draw: Draw):
    for prefix in ("transformer.", ""):
        config = _config(draw)
        masks = _masks(config, prefix)
        yield _load_case(draw, config, prefix=prefix, change=masks, note="masks among them")


def _masks(config: ReferenceConfig, prefix: str = "transformer."):
    """A change of the tensors: what older files hold of masks comes to them."""

    def add(tensors):
        for n in range(config.n_layers):
            mask = np.tri(config.context_length, dtype=bool)
            tensors[f"{prefix}h.{n}.attn.bias"] = mask[None, None]
            tensors[f"{prefix}h.{n}.attn.masked_bias"] = np.array(-1e4)

    return add


@load_gpt2.edge(
    "a missing tensor: ValueError naming it",
    hint="compare the names that came with those you need, before anything is copied",
)
def load_gpt2_missing(draw: Draw):
    for name, tie_weights in (
        ("h.1.mlp.c_fc.bias", True),
        ("h.0.attn.c_proj.weight", True),
        ("ln_f.bias", True),
        ("wte.weight", True),
        ("lm_head.weight", False),
    ):
        for prefix in ("transformer.", ""):

            def remove(tensors, name=name, prefix=prefix):
                del tensors[name if name.startswith("lm") else prefix + name]

            yield _load_case(
                draw,
                _config(draw, tie_weights=tie_weights),
                prefix=prefix,
                change=remove,
                judge=raises("ValueError", name),
                note=f"no {name}",
            )


@load_gpt2.edge(
    "a surplus tensor: ValueError naming it",
    hint="a block too many, or biases where the config has none, do not fit either",
)
def load_gpt2_surplus(draw: Draw):
    others = ("h.2.ln_1.weight", "h.0.attn.rotary.weight")
    for name in (*(f"transformer.{other}" for other in others), "model.h.0.ln_1.weight", "score"):

        def add(tensors, name=name):
            tensors[name] = np.ones(3)

        judge = raises("ValueError", name.removeprefix("transformer."))
        yield _load_case(draw, _config(draw), change=add, judge=judge, note=f"and {name}")


@load_gpt2.edge(
    "a tensor of a wrong shape: ValueError naming it",
    hint="look at the shape yourself: copy_ stretches (1, C) to (P, C) without a word",
)
def load_gpt2_shapes(draw: Draw):
    for name, cut in (
        ("transformer.wpe.weight", lambda array: array[:-1]),
        ("transformer.wpe.weight", lambda array: array[:1]),
        ("transformer.wpe.weight", lambda array: np.concatenate([array, array[:2]])),
        ("transformer.h.1.mlp.c_fc.bias", lambda array: array[:1]),
        ("transformer.h.0.ln_1.weight", lambda array: array[None]),
        ("transformer.h.1.attn.c_attn.weight", lambda array: np.ascontiguousarray(array.T)),
    ):

        def change(tensors, name=name, cut=cut):
            tensors[name] = cut(tensors[name])

        judge = raises("ValueError", name.removeprefix("transformer."))
        yield _load_case(draw, _config(draw), change=change, judge=judge, note=f"{name} changed")


@load_gpt2.edge(
    "a tied head that differs from the token embedding: ValueError naming lm_head.weight",
    hint="torch.equal tells; loaded without a look, one of the two is lost",
)
def load_gpt2_other_head(draw: Draw):
    def is_off_by(much):
        def change(tensors):
            tensors["lm_head.weight"] = tensors["lm_head.weight"].copy()
            tensors["lm_head.weight"][-1, -1] += much

        return change

    def is_upside_down(tensors):
        tensors["lm_head.weight"] = tensors["lm_head.weight"][::-1].copy()

    judge, note = raises("ValueError", "lm_head.weight"), "another lm_head.weight"
    for change in (is_off_by(1.0), is_off_by(1e-4), is_upside_down):
        yield _load_case(draw, _config(draw), change=change, judge=judge, note=note)


@load_gpt2.edge(
    "the model has copies: changing the given tensors later changes nothing",
    hint="copy_ and load_state_dict copy; assign=True, .data = … and nn.Parameter(tensor) do not",
)
def load_gpt2_copies(draw: Draw):
    def unmoved(seen):
        finding = no_error(seen)
        if finding:
            return finding
        (later,) = seen.steps
        first, second = seen.outputs[0].array, later.outputs[0].array
        if first is not None and second is not None and np.array_equal(first, second):
            return None
        return Finding(
            "the logits change with the tensors that were given", expected="a model of its own"
        )

    for changes in ({}, {"tie_weights": False}):
        judge = also(unmoved, arguments_unchanged(["state_dict"]))
        yield _load_case(draw, _config(draw, **changes), judge=judge)
    config = _config(draw)

    def masks_and_no_head(tensors):
        _masks(config)(tensors)
        del tensors["lm_head.weight"]

    judge, note = arguments_unchanged(["state_dict"]), "masks and no lm_head.weight"
    yield _load_case(draw, config, change=masks_and_no_head, judge=judge, note=note)


@load_gpt2.edge(
    "the model is in evaluation mode, its head still tied, and all of it can be trained",
    hint="model.eval(); fill the tensors that GPT made instead of replacing them",
)
def load_gpt2_mode(draw: Draw):
    def resting(seen):
        if _attribute(seen, "training") is False:
            return None
        return Finding(
            "the model or a part of it is in training mode", expected="evaluation mode: .eval()"
        )

    for changes in ({"dropout": DROPOUT}, {"dropout": DROPOUT, "tie_weights": False}):
        config = _config(draw, **changes)
        judge = also(
            no_error,
            _has_the_state(config),
            _is_made_of(config),
            _shares(*_tie(config)),
            resting,
        )
        yield _load_case(draw, config, judge=judge)


@load_gpt2.edge(
    "without biases in the config there must be none among the tensors",
    hint="which names are wanted follows from the model's own state_dict()",
)
def load_gpt2_without_bias(draw: Draw):
    config = _config(draw, bias=False)
    yield _load_case(draw, config)

    def add(tensors):
        tensors["transformer.h.1.ln_2.bias"] = np.zeros(config.d_model)

    judge = raises("ValueError", "h.1.ln_2.bias")
    yield _load_case(draw, config, change=add, judge=judge, note="and h.1.ln_2.bias")


@load_gpt2.edge(
    "the model has the dtype of the tensors", hint="model.to(tensor) takes its dtype and device"
)
def load_gpt2_dtype(draw: Draw):
    for dtype in ("float64", "bfloat16", "float16"):
        yield _load_case(draw, _config(draw), dtype=dtype)
