"""Observe a GPT, and what is done to one: its first weights, its size, weights that are loaded.

A config travels as plain data, and what is called gets a `GPTConfig` of its own namespace. Models
that are given to a function are fixtures with the names of the lessons' own, see `lent/models.py`.
"""

import dataclasses
import functools

import torch
from torch import nn

from ..calls import CountCall, GPTCall, InitWeightsCall, LoadCall
from ..given.config import ReferenceConfig
from ..given.in_use import as_people_have_it
from ..load.lent import lent
from ..load.namespace import namespace_of
from ..observations import Observation, blank
from . import functions, record

CONFIG_FIELDS = tuple(field.name for field in dataclasses.fields(ReferenceConfig))
BEFORE = 1.5  # every number of a model that is about to get its first weights


def observe_gpt(component, call: GPTCall, seen: Observation) -> None:
    """A module built from a config, with weights sent by name, or with those it begins with."""
    config, built = config_for(component, call["config"]), []

    def build():
        built.append(component(config))
        if call.get("by_parts") is not None:
            built[0].forward = functools.partial(_part_by_part, built[0], call["by_parts"])
        return built[0]

    try:
        if call["weights"] is None:
            _observe_fresh(build, call, seen)
        else:
            call = {**call, "init": [], "init_kwargs": {}, "initial": False, "attributes": []}
            functions.observe_module(build, call, seen)
    finally:
        if built and isinstance(built[0], nn.Module):
            _record_parts(built[0], seen)


def _part_by_part(model, offset: int, ids, x):
    """What each part makes of an input of its own, called as a cache calls it."""
    within = [
        part(x)
        for block in model.blocks
        for part in (
            *(block.norm1, block.attention.qkv, block.attention.out),
            *(block.norm2, block.mlp),
        )
    ]
    return (model.embeddings(ids, offset), *within, model.norm(x), model.head(x))


def _observe_fresh(build, call: GPTCall, seen: Observation) -> None:
    torch.manual_seed(0)
    model = build()
    functions.require_module(model)
    _record_state(model, seen)
    model.eval()
    with torch.no_grad():
        args, _ = record.arguments({**call, "dtype": "float32"})
        record.record_result(model.to(call["device"])(*args), seen)


def observe_init_weights(component, call: InitWeightsCall, seen: Observation) -> None:
    """A model whose numbers are all the same, before; and after."""
    torch.manual_seed(0)
    config = config_for(component, call["config"])
    model = lent("models").ReferenceGPT(config, seed=0, norm=norm_for(component))
    as_people_have_it(model, call).to(dtype=record.DTYPES[call["dtype"]], device=call["device"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float(call.get("before", BEFORE)))
    before = dict(_named(model))
    record.record_result(component(model), seen)
    after = dict(_named(model))
    _record_state(model, seen)
    _record_parts(model, seen)
    replaced = sorted(name for name in before if after.get(name) is not before[name])
    seen["attributes"]["replaced"] = replaced


def observe_n_parameters(component, call: CountCall, seen: Observation) -> None:
    """A count of a model; tensors may be shared, and need not have any memory."""
    model = lent("models").ReferenceGPT(config_for(component, call["config"]), seed=0)
    as_people_have_it(model, call)
    if call["head_first"]:
        model._modules = {"head": model.head} | model._modules
    for name, other in call["shared"]:
        _replace(model, name, model.get_parameter(other))
    if call["without_memory"]:
        twins = {}
        for name, tensor in _named(model):
            twin = twins.setdefault(tensor, nn.Parameter(torch.empty_like(tensor, device="meta")))
            _replace(model, name, twin)
    before = dict(_named(model))
    record.record_result(component(model, **call["kwargs"]), seen)
    after = dict(_named(model))
    same = before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    seen["changed"] = [] if same else [0]
    seen["arguments"] = [None if call["without_memory"] else _in_one(dict(_named(model)))]


def observe_load_gpt2(component, call: LoadCall, seen: Observation) -> None:
    """The model that comes of a state_dict, its logits, and these again with the given ones 0."""
    torch.manual_seed(0)
    config = config_for(component, call["config"])
    given = {name: record.tensor_of(array, call) for name, array in call["tensors"].items()}
    tensors, before = dict(given), {name: tensor.clone() for name, tensor in given.items()}
    model = component(given, config)
    seen["arguments"] = [_in_one(given)]
    if given.keys() != before.keys() or any(
        given[name] is not tensors[name] or not torch.equal(tensors[name], before[name])
        for name in before
    ):
        seen["changed"] = [0]
    functions.require_module(model)
    _record_state(model, seen)
    _record_parts(model, seen)
    seen["attributes"]["training"] = any(module.training for module in model.modules())
    args, _ = record.arguments(call)
    with torch.no_grad():
        record.record_result(model(*args), seen)
        for tensor in tensors.values():
            tensor.zero_()
        later = blank()
        later_ids = record.tensor_of(call["later_ids"], call)
        record.record_result(model(later_ids), later)
        seen["steps"] = [later]


def config_for(component, fields: dict):
    """A config with these fields: a `GPTConfig` of the component's namespace, if it has one."""
    return namespace_of(component).get("GPTConfig", ReferenceConfig)(**fields)


def norm_for(component) -> type[nn.Module]:
    """A layer norm as the lessons have it: of the class that an answer knows as `LayerNorm`.

    It is torch's only where an answer has derived its own from that.
    """
    own = namespace_of(component).get("LayerNorm")
    if not isinstance(own, type) or not issubclass(own, nn.Module) or own is nn.LayerNorm:
        own = nn.Module
    return own if issubclass(own, nn.LayerNorm) else lent("models").norm_of_class(own)


def _in_one(tensors: dict):
    """All numbers of these tensors in one array, by their names."""
    ordered = [tensors[name].detach().double().flatten() for name in sorted(tensors)]
    return record.array_of(torch.cat(ordered))


def _named(model) -> list:
    """All parameters by all their names."""
    return list(model.named_parameters(remove_duplicate=False))


def _replace(model, name: str, tensor) -> None:
    owner, _, last = name.rpartition(".")
    setattr(model.get_submodule(owner), last, tensor)


def _record_state(model, seen) -> None:
    state = model.state_dict()
    seen["parameters"] = {name: list(tensor.shape) for name, tensor in state.items()}
    seen["initial"] = {name: record.array_or_none(tensor) for name, tensor in state.items()}


def _record_parts(model, seen) -> None:
    """What the model is made of, besides the values of its tensors."""
    named = _named(model)
    config = getattr(model, "config", None)
    seen["trainable"] = sorted(name for name, tensor in named if tensor.requires_grad)
    seen["attributes"] = {
        "blocks": [cls.__name__ for cls in type(getattr(model, "blocks", None)).__mro__],
        "config": {name: _json_or_type(getattr(config, name, None)) for name in CONFIG_FIELDS},
        "dtypes": sorted({str(tensor.dtype).removeprefix("torch.") for _, tensor in named}),
        "shared": _groups((name, id(tensor)) for name, tensor in named),
        "shared_memory": _groups((name, tensor.data_ptr()) for name, tensor in named),
        "equal": _groups((name, _values(tensor)) for name, tensor in named if tensor.dim() > 1),
    }


def _groups(keys) -> list[list[str]]:
    """The names that have the same key, where there are several."""
    by_key = {}
    for name, key in keys:
        by_key.setdefault(key, []).append(name)
    return sorted(sorted(names) for names in by_key.values() if len(names) > 1)


def _values(tensor) -> bytes:
    return tensor.detach().double().cpu().numpy().tobytes()


def _json_or_type(value):
    return value if isinstance(value, (bool, int, float, str)) else type(value).__name__


PROBES = {
    "gpt": observe_gpt,
    "init_weights": observe_init_weights,
    "n_parameters": observe_n_parameters,
    "load_gpt2": observe_load_gpt2,
}
