"""What must hold of `GPT`."""

import math
from dataclasses import asdict, replace

import numpy as np

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...cases.module_properties import IN_HALF
from ...cases.slopes import slope_case
from ...judges.chance import BY_CHANCE, DROPOUT
from ...judges.expect import (
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    raises,
    returns,
    same_device,
)
from ...judges.findings import Finding
from ...judges.tolerances import Tolerance
from ...observe.given.config import ReferenceConfig
from ...oracles import model as oracles
from .fixtures import (
    HALF,
    LESSON,
    TIED,
    draw_ids,
    draw_weights,
    shown_config,
    small_config,
    tied_names,
)
from .fresh_model import (
    all_finite,
    drawn_apart,
    has_the_state,
    is_made_of,
    matrices_begin_right,
    shares,
    vectors_begin_right,
    wide_config,
)

FIRST_LOSS = 0.15  # how far a fresh model's loss may be from ln V; with N(0, 1) it is off by units

gpt = ComponentCheck("GPT", "model", LESSON)


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
    ids = draw_ids(draw, config) if ids is None else ids
    weights = draw_weights(draw, config, dtype) if weights is None else weights
    if judge is None:
        judge = returns(
            oracles.logits(config, weights, ids), dtype=dtype, tolerance=tolerance, names=["logits"]
        )
    case = gpt.build(x=ids, weights=weights, dtype=dtype, **options)
    return replace(
        case,
        call=case.call | {"probe": "gpt", "config": asdict(config)},
        shown=case.shown.replace("GPT()", f"GPT({shown_config(config)})"),
    ).expect(also(has_the_state(config), judge))


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
    shown = f"GPT({shown_config(config)})(ids {ids.shape[0]}×{ids.shape[1]}), as it was made"
    return Case(call, shown).expect(also(has_the_state(config), all_finite, judge))


@gpt.core(
    "its parts are embeddings, blocks, norm and head, and its config is kept",
    hint="Embeddings, an nn.ModuleList of Blocks, each made anew, LayerNorm, a Linear without bias",
    fits=("names", "not learned", "raised"),
)
def gpt_parts(draw: Draw):
    for changes in ({}, {"tie_weights": False, "n_layers": 3}, {"n_layers": 1}):
        config = small_config(draw, **changes)
        yield _gpt_case(draw, config, judge=is_made_of(config))


@gpt.core(
    "blocks share nothing, and head and token embedding are one tensor exactly when tied",
    hint="self.head.weight = self.embeddings.token.weight, if config.tie_weights",
    fits=("names", "not learned"),
)
def gpt_sharing(draw: Draw):
    for tie_weights in (True, False):
        config = small_config(draw, tie_weights=tie_weights, n_layers=3)
        yield _gpt_case(draw, config, judge=shares(*tied_names(config)))


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
    config = small_config(draw, vocab_size=9, context_length=7, tie_weights=False)
    weights = draw_weights(draw, config)
    for name in weights:
        if name.endswith("qkv.weight"):
            weights[name] = loudness * weights[name]
    weights["embeddings.token.weight"][5:] *= loudness
    ids = draw_ids(draw, config, 4, 7)
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
        yield _gpt_case(draw, small_config(draw, **changes))
    config = small_config(draw)
    for n_texts, n_tokens in ((1, 1), (3, config.context_length), (2, 2)):
        yield _gpt_case(draw, config, draw_ids(draw, config, n_texts, n_tokens))
    # as many texts as tokens, as heads, and as many channels as tokens in the vocabulary
    square = small_config(draw, vocab_size=9, context_length=3, d_model=9, n_heads=3, n_layers=3)
    for tie_weights in (True, False):
        config = replace(square, tie_weights=tie_weights)
        yield _gpt_case(draw, config, draw_ids(draw, config, 3, 3))
    yield _gpt_case(draw, small_config(draw), dtype="float32")
    long = small_config(draw, context_length=70)
    yield _gpt_case(draw, long, draw_ids(draw, long, 1, 70))
    # scores of ten thousands leave some ten digits for the weights
    yield _hostile_case(draw, 100.0, 3, tolerance=Tolerance(1e-7, 1e-6))


@gpt.core(
    "a fresh model has the weights of init_weights, and a loss near ln V",
    hint="init_weights(self), as the last line of __init__; tie before it",
)
def gpt_starts(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False, "n_layers": 2}):
        config = wide_config(**changes)
        ids = draw_ids(draw, config, 4, config.context_length)
        targets = draw_ids(draw, config, 4, config.context_length)
        judge = also(
            _loss_is_that_of_guessing(targets, config),
            matrices_begin_right(config),
            vectors_begin_right(config),
            drawn_apart(config),
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
)
def gpt_gradients(draw: Draw):
    for tie_weights in (True, False):
        config = small_config(draw, tie_weights=tie_weights)
        ids, weights = draw_ids(draw, config), draw_weights(draw, config)
        cotangent = draw.normal(*ids.shape, config.vocab_size)
        expected = oracles.gradients(config, weights, ids, cotangent)
        judge = also(shares(*tied_names(config)), _gradients_are(expected))
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
    config = small_config(draw, context_length=9)
    yield _gpt_case(draw, config, training=True)
    for n_tokens, before in ((3, 8), (8, 3)):
        ids, earlier = draw_ids(draw, config, 2, n_tokens), draw_ids(draw, config, 3, before)
        yield _gpt_case(draw, config, ids, warm_up=[earlier])


@gpt.edge(
    "bias=False takes the bias from every part, and gelu_approximate reaches the blocks",
    hint="bias=config.bias for the blocks and for the last norm; approximate=… for the blocks",
    fits=("names", "not learned"),
)
def gpt_options(draw: Draw):
    for changes in ({"bias": False}, {"gelu_approximate": "tanh"}):
        for tie_weights in (True, False):
            config = small_config(draw, tie_weights=tie_weights, **changes)
            loud = draw_weights(draw, config)
            for name in loud:  # the two GELUs differ by 1e-3 at most, and most near 2
                if name.endswith("up.weight"):
                    loud[name] = 2 * loud[name]
            yield _gpt_case(draw, config, weights=loud)


@gpt.edge(
    "in training, dropout acts in every block and nowhere else",
    hint="dropout=config.dropout for the blocks; embeddings, norm and head have none",
)
def gpt_dropout(draw: Draw):
    config = small_config(draw, dropout=DROPOUT)
    weights = draw_weights(draw, config)
    for name in weights:
        if ".attention.out." in name or ".mlp.down." in name:
            weights[name] = np.zeros_like(weights[name])
    yield _gpt_case(draw, config, weights=weights, training=True, random=True)
    for n in range(config.n_layers):
        for part in ("attention.out", "mlp.down"):
            yield _dropout_case(draw, f"blocks.{n}.{part}.bias")


@gpt.edge(
    "with dropout, gradients reach the weights through the entries that were kept, and no others",
    hint="what is computed again on the way back must drop the same entries: keep what was drawn",
    fits=("gradient",),
)
def gpt_slopes(draw: Draw):
    config = small_config(draw, dropout=DROPOUT)
    ids = draw_ids(draw, config)
    shape = (*ids.shape, config.vocab_size)
    yield slope_case(_gpt_case(draw, config, ids, training=True), draw, shape)


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

    ids = draw_ids(draw, config, 16, 7)
    return _gpt_case(draw, config, ids, weights=weights, judge=judge, training=True, random=True)


@gpt.edge(
    "in evaluation, dropout does nothing", hint="nn.Dropout knows the mode; F.dropout must be told"
)
def gpt_dropout_rests(draw: Draw):
    config = small_config(draw, dropout=DROPOUT)
    yield _gpt_case(draw, config)
    earlier = draw_ids(draw, config)
    yield _gpt_case(draw, config, warm_up=[earlier], warm_up_training=True)


@gpt.edge(
    "more tokens than context_length: ValueError",
    hint="Embeddings refuses them already; do not cut ids to fit",
)
def gpt_refuses(draw: Draw):
    config = small_config(draw, context_length=7)
    for n_tokens in (8, 15):
        ids = draw_ids(draw, config, 2, n_tokens)
        judge = raises("ValueError", ("context", "ids"), ("7", str(n_tokens)))
        yield _gpt_case(draw, config, ids, judge=judge)


@gpt.edge(
    "its parts work one by one as well: a cache will call them so, from any position on",
    hint="Embeddings takes (ids, offset), and Block is made of norm1, attention, norm2 and mlp",
)
def gpt_by_parts(draw: Draw):
    for offset in (0, 3):
        config = small_config(draw, context_length=9)
        ids, weights = draw_ids(draw, config, 2, 5), draw_weights(draw, config)
        x = draw.normal(2, 5, config.d_model)
        expected = oracles.parts(config, weights, ids, x, offset)
        judge = returns(*expected.values(), dtype="float64", names=list(expected))
        case = _gpt_case(draw, config, ids, weights=weights, judge=judge)
        note = f"{case.shown}, part by part from position {offset} on"
        call = case.call | {"by_parts": offset, "args": [ids, x]}
        yield replace(case, call=call, shown=note)


@gpt.edge(
    "half-precision weights give half-precision logits, close to the exact ones",
    hint=IN_HALF,
)
def gpt_half(draw: Draw):
    for dtype, tolerance in HALF.items():
        yield _gpt_case(draw, small_config(draw), dtype=dtype, tolerance=tolerance)


@gpt.edge(
    "ids are not changed, and every tensor is made on their device",
    hint="device=ids.device",
    fits=("device",),
)
def gpt_leaves_ids(draw: Draw):
    config = small_config(draw)
    yield _gpt_case(draw, config, judge=arguments_unchanged(["ids"]))
    yield _gpt_case(draw, config, judge=same_device, watch_devices=True)


@gpt.asked(
    "real sizes",
    "hundreds of positions in bfloat16, and a vocabulary of fifty thousand",
    hint="positions and ids are whole numbers all the way: bfloat16 has no 257",
)
def gpt_of_real_size(draw: Draw):
    long = small_config(draw, context_length=307, n_layers=1)
    ids = draw_ids(draw, long, 1, 307)
    yield _gpt_case(draw, long, ids, dtype="bfloat16", tolerance=HALF["bfloat16"])
    long = small_config(draw, context_length=1031, d_model=6, n_heads=3, n_layers=1)
    yield _gpt_case(draw, long, draw_ids(draw, long, 1, 1031))
    # A context of its own: who masks all of it would need 13 GB for so many texts.
    short = small_config(draw, context_length=3, d_model=6, n_heads=3, n_layers=1)
    yield _gpt_case(draw, short, draw_ids(draw, short, 1031, 1))
    many = small_config(draw, vocab_size=50_257, d_model=6, n_heads=3, n_layers=1)
    yield _gpt_case(draw, many, draw_ids(draw, many, 1, 3), dtype="float32")
