"""What must hold of `decay_groups`."""

import torch

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import Judge, no_error
from ...judges.findings import Finding
from ...judges.seen import Seen
from ...observe.given.trained import build_model
from .fixtures import LESSON, facts_of, gpt_spec

decay_groups = ComponentCheck("decay_groups", "training", LESSON)


def _groups_case(draw: Draw, model: dict, *, dtype="float64", decay=None):
    decay = float(draw.integers(1, 40)) / 100 if decay is None else decay
    call = {
        "probe": "groups",
        "dtype": dtype,
        "device": "cpu",
        "model": model,
        "weight_decay": decay,
    }
    shape = _parameter_axes(model, dtype)
    kind = "GPT" if model["model"] == "gpt" else "model"
    notes = [name for name in ("tied", "frozen") if model.get(name)]
    if model["model"] == "gpt" and model["config"].get("tie_weights", True):
        notes = ["tied", *notes]
    kind = " ".join(filter(None, [" and ".join(notes), kind]))
    shown = f"decay_groups(model, {decay})" + (f", with a {kind}" if kind != "model" else "")
    return Case(call, shown, _groups_are(shape, decay))


def _parameter_axes(spec: dict, dtype: str) -> dict[str, int]:
    """How many axes each trained parameter has, by name, shared ones once."""
    model = build_model(spec, getattr(torch, dtype))
    return {name: p.dim() for name, p in model.named_parameters() if p.requires_grad}


def _groups_are(axes: dict[str, int], decay: float) -> Judge:
    """Judge: two groups, and each trained parameter in the one where it belongs, once."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        found = facts_of(seen.value)
        groups = found.get("groups")
        if found.get("structure") not in ("list", "tuple") or not isinstance(groups, list):
            got = str(found.get("structure"))[:60]
            return Finding(
                "wrong return value", expected="a list of two dicts", got=got, how="type"
            )
        groups = [facts_of(group) for group in groups]
        if len(groups) != 2 or any(group.get("type") != "dict" for group in groups):
            kinds = [str(group.get("type"))[:30] for group in groups]
            others = [f", one of them a {kind}" for kind in kinds if kind != "dict"]
            got = f"{len(groups)} {'dicts' if not others else 'groups' + others[0]}"
            return Finding("wrong groups", expected="a list of two dicts", got=got)
        return _stated(groups, decay) or _members(groups, axes, decay) or _kept(found)

    return judge


def _stated(groups: list[dict], decay: float) -> Finding | None:
    for group in groups:
        if not isinstance(group.get("params"), list):
            wanted = '{"params": [...], "weight_decay": …}'
            return Finding('a group has no list under "params"', expected=wanted)
        if group.get("weight_decay") == "NoneType":
            return Finding(
                "a group does not state its weight_decay",
                expected="0.0 stated: otherwise the optimizer's own default holds",
                got=f"none for {str(group['params'][:1])[:60]}",
            )
    found = sorted(str(group.get("weight_decay")) for group in groups)
    if found != sorted(map(str, (0.0, decay))):
        return Finding("wrong weight_decay", expected=f"{decay} and 0.0", got=" and ".join(found))
    return None


def _members(groups: list[dict], axes: dict[str, int], decay: float) -> Finding | None:
    where = [(str(name), group["weight_decay"]) for group in groups for name in group["params"]]
    names = [name for name, _ in where]
    strange = [name for name in names if name not in axes]
    if strange:
        _, is_other, other = strange[0].partition("not there: ")
        what = "something else is in a group" if is_other else "a frozen parameter is in a group"
        got = other if is_other else strange[0]
        return Finding(what, expected="the parameters of the model that are trained", got=got[:80])
    for name, n_axes in axes.items():
        if name not in names:
            return Finding(f"{name} is in no group", expected="every trained parameter in one")
        if names.count(name) > 1:
            return Finding(f"{name} is there {names.count(name)} times", expected="once")
        wanted, got = decay if n_axes >= 2 else 0.0, dict(where)[name]
        if got != wanted:
            return Finding(
                f"{name}, with {n_axes} {'axis' if n_axes == 1 else 'axes'}, is in the wrong group",
                expected=f"weight_decay {wanted}",
                got=f"weight_decay {got}",
            )
    return None


def _kept(found: dict) -> Finding | None:
    kept = found.get("model_kept")
    if not isinstance(kept, list) or not all(one is True for one in kept):
        return Finding("the model was changed", expected="its parameters and mode as they were")
    return None


@decay_groups.core(
    "weights and embeddings of a GPT get weight_decay, biases and norms 0.0",
    hint='two dicts, each with "params" and "weight_decay"; the model itself stays as it is',
)
def groups_of_a_gpt(draw: Draw):
    for config in ({"tie_weights": False}, {"tie_weights": False, "n_layers": 1}):
        yield _groups_case(draw, gpt_spec(draw, **config))


@decay_groups.core(
    "what counts is the number of axes, not the name and not the kind of layer",
    hint="two axes or more: decay; one or none: no decay",
)
def groups_by_axes(draw: Draw):
    yield _groups_case(draw, {"model": "oddments", "tied": False})
    yield _groups_case(draw, {"model": "oddments", "tied": False}, decay=1e-3)


@decay_groups.core(
    "a tensor that two layers share stands in a group once, and equal ones are not shared",
    hint="model.parameters() and named_parameters() give a shared tensor once by themselves",
)
def groups_of_tied_weights(draw: Draw):
    yield _groups_case(draw, gpt_spec(draw))
    yield _groups_case(draw, gpt_spec(draw, bias=False))
    yield _groups_case(draw, {"model": "oddments", "tied": True})
    yield _groups_case(draw, {"model": "oddments", "tied": False, "twins": True})


@decay_groups.edge(
    "a weight_decay of 0 is a number like others: there are two groups all the same",
    hint="0.0 counts as false: neither `if weight_decay` nor `weight_decay or …`",
    fits=("raised",),
)
def groups_without_decay(draw: Draw):
    yield _groups_case(draw, {"model": "oddments", "tied": False}, decay=0.0)


@decay_groups.edge(
    "frozen parameters are left out", hint="p.requires_grad says whether it is trained"
)
def groups_without_the_frozen(draw: Draw):
    frozen = ["embeddings.position.weight", "blocks.0.norm1.weight", "blocks.1.mlp.up.bias"]
    yield _groups_case(draw, gpt_spec(draw, tie_weights=False) | {"frozen": frozen})
    for tied in (False, True):
        names = ["token.weight", "weight", "body.1.bias"]
        yield _groups_case(draw, {"model": "oddments", "tied": tied, "frozen": names})


@decay_groups.edge(
    "the same in every dtype, and the model is left as it is",
    hint="sorting parameters needs no arithmetic",
)
def groups_in_half_precision(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _groups_case(draw, gpt_spec(draw), dtype=dtype)


@decay_groups.asked(
    "in use",
    "parameters of a block that stands in two places are there once",
    hint="go through the parameters of the model, not through its blocks",
)
def groups_of_a_block_used_twice(draw: Draw):
    for config in ({"n_layers": 3}, {"n_layers": 2, "tie_weights": False}):
        yield _groups_case(draw, gpt_spec(draw, **config) | {"way": "one block twice"})
