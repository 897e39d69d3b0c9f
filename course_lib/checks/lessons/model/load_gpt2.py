"""What must hold of `load_gpt2`."""

from dataclasses import asdict

import numpy as np

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.chance import DROPOUT
from ...judges.expect import also, arguments_unchanged, differs, no_error, raises, returns
from ...judges.findings import Finding
from ...judges.tolerances import BY_DTYPE, Tolerance
from ...observe.given.config import ReferenceConfig
from ...oracles import model as oracles
from .fixtures import HALF, LESSON, draw_ids, draw_weights, shown_config, small_config, tied_names
from .fresh_model import attribute_of, fresh_state, has_dtype, has_the_state, is_made_of, shares

load_gpt2 = ComponentCheck("load_gpt2", "model", LESSON)


def _load_case(
    draw: Draw,
    config: ReferenceConfig,
    *,
    judge=None,
    dtype="float32",
    prefix="transformer.",
    change=None,
    weights=None,
    later_ids=None,
    note="",
) -> Case:
    """Drawn weights under their names, perhaps changed, and the model that is made of them.

    Args:
        change: a function that writes into the tensors before they are given.
        later_ids: what the model reads once the given tensors hold zeros.
        note: what is special about them, for messages.
    """
    weights = draw_weights(draw, config, dtype) if weights is None else weights
    tensors = oracles.gpt2_layout(weights, prefix)
    if change:
        change(tensors)
    ids = draw_ids(draw, config)
    if judge is None:
        judge = _loaded(config, weights, ids, dtype)
    call = {
        "probe": "load_gpt2",
        "dtype": dtype,
        "args": [ids],
        "later_ids": ids if later_ids is None else later_ids,
        "kwargs": {},
        "tensors": tensors,
        "config": asdict(config),
    }
    said = f"state_dict of {len(tensors)} tensors" + (f", {note}" if note else "")
    return Case(call, f"load_gpt2({said}; {shown_config(config)}), {dtype}").expect(judge)


def _loaded(config: ReferenceConfig, weights: dict, ids, dtype: str):
    """Judge: every weight in its place, and the logits of the reference."""
    expected = oracles.logits(config, weights, ids)

    def in_place(seen):
        found = fresh_state(seen, config)
        for name, array in weights.items():
            finding = differs(found[name], array, Tolerance(0.0, 0.0), name)
            if finding:
                return finding
        return None

    agree = returns(
        expected, dtype=dtype, names=["logits"], tolerance=HALF.get(dtype, BY_DTYPE[dtype])
    )
    return also(no_error, has_the_state(config), has_dtype(dtype), in_place, agree)


@load_gpt2.core(
    "each tensor goes to its place, turned where GPT-2 keeps its inputs first",
    hint="go by the table of names; c_attn, c_proj, c_fc are (in, out): .T, square ones too",
)
def load_gpt2_values(draw: Draw):
    for changes in ({}, {"gelu_approximate": "tanh"}, {"n_layers": 1}):
        yield _load_case(draw, small_config(draw, **changes))
    square = ReferenceConfig(9, 9, 9, 3, 2)
    yield _load_case(draw, square)


@load_gpt2.core(
    "with or without the prefix transformer.",
    hint='name.removeprefix("transformer.")',
    fits=("raised",),
)
def load_gpt2_prefix(draw: Draw):
    yield _load_case(draw, small_config(draw), prefix="")
    yield _load_case(draw, small_config(draw, tie_weights=False), prefix="")


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
    fits=("raised",),
)
def load_gpt2_head(draw: Draw):
    def no_head(tensors):
        del tensors["lm_head.weight"]

    for prefix in ("transformer.", ""):
        yield _load_case(
            draw, small_config(draw), prefix=prefix, change=no_head, note="no lm_head.weight"
        )
    yield _load_case(draw, small_config(draw, tie_weights=False))


@load_gpt2.core(
    "attn.bias and attn.masked_bias are masks and are ignored; c_attn.bias is not",
    hint='".attn.bias" and ".attn.masked_bias", with the dot: c_attn.bias ends in "attn.bias" too',
    fits=("raised",),
)
def load_gpt2_masks(draw: Draw):
    for prefix in ("transformer.", ""):
        config = small_config(draw)
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
    "a missing tensor: ValueError",
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
                small_config(draw, tie_weights=tie_weights),
                prefix=prefix,
                change=remove,
                judge=raises("ValueError", name),
                note=f"no {name}",
            )


@load_gpt2.edge(
    "a surplus tensor: ValueError",
    hint="a block too many, or biases where the config has none, do not fit either",
)
def load_gpt2_surplus(draw: Draw):
    others = ("h.2.ln_1.weight", "h.0.attn.rotary.weight")
    for name in (*(f"transformer.{other}" for other in others), "model.h.0.ln_1.weight", "score"):

        def add(tensors, name=name):
            tensors[name] = np.ones(3)

        judge = raises("ValueError", name.removeprefix("transformer."))
        yield _load_case(draw, small_config(draw), change=add, judge=judge, note=f"and {name}")


@load_gpt2.edge(
    "a tensor of a wrong shape: ValueError",
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
        yield _load_case(
            draw, small_config(draw), change=change, judge=judge, note=f"{name} changed"
        )


@load_gpt2.edge(
    "a tied head that differs from the token embedding: ValueError",
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
        yield _load_case(draw, small_config(draw), change=change, judge=judge, note=note)


def _unmoved(expected):
    """Judge: these logits, once the tensors that were given hold zeros."""
    agree = returns(expected, dtype="float32", tolerance=BY_DTYPE["float32"])

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        (later,) = seen.steps
        return agree(later) and Finding(
            "the logits change with the tensors that were given", expected="a model of its own"
        )

    return judge


@load_gpt2.edge(
    "the model has copies: changing the given tensors later changes nothing",
    hint="copy_ and load_state_dict copy; assign=True, .data = … and nn.Parameter(tensor) do not",
)
def load_gpt2_copies(draw: Draw):
    for changes in ({}, {"tie_weights": False}):
        config = small_config(draw, **changes)
        weights = draw_weights(draw, config, "float32")
        later_ids = draw_ids(draw, config, 3)  # others: what was computed before is of no use
        judge = also(
            _unmoved(oracles.logits(config, weights, later_ids)),
            arguments_unchanged(["state_dict"]),
        )
        yield _load_case(draw, config, judge=judge, weights=weights, later_ids=later_ids)
    config = small_config(draw)

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
        if attribute_of(seen, "training") is False:
            return None
        return Finding(
            "the model or a part of it is in training mode", expected="evaluation mode: .eval()"
        )

    for changes in ({"dropout": DROPOUT}, {"dropout": DROPOUT, "tie_weights": False}):
        config = small_config(draw, **changes)
        judge = also(
            no_error,
            has_the_state(config),
            is_made_of(config),
            shares(*tied_names(config)),
            resting,
        )
        yield _load_case(draw, config, judge=judge)


@load_gpt2.edge(
    "without biases in the config there must be none among the tensors",
    hint="which names are wanted follows from the model's own state_dict()",
    fits=("raised",),
)
def load_gpt2_without_bias(draw: Draw):
    config = small_config(draw, bias=False)
    yield _load_case(draw, config)

    def add(tensors):
        tensors["transformer.h.1.ln_2.bias"] = np.zeros(config.d_model)

    judge = raises("ValueError", "h.1.ln_2.bias")
    yield _load_case(draw, config, change=add, judge=judge, note="and h.1.ln_2.bias")


@load_gpt2.edge(
    "the model has the dtype of the tensors",
    hint="model.to(tensor) takes its dtype and device",
    fits=("dtype",),
)
def load_gpt2_dtype(draw: Draw):
    for dtype in ("float64", "bfloat16", "float16"):
        yield _load_case(draw, small_config(draw), dtype=dtype)
