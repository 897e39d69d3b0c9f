"""Observe `decay_groups`: the groups of a model's parameters, as names."""

import torch
from torch import Tensor, nn

from ..calls import GroupsCall
from ..given.trained import build_model
from ..observations import Observation
from .record import type_name
from .training import dtype_of


def observe_groups(component, call: GroupsCall, seen: Observation) -> None:
    """The groups of a model's parameters, as names."""
    model = build_model(call["model"], dtype_of(call)).to(call["device"]).train()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    before = {name: (p.detach().clone(), p.requires_grad) for name, p in model.named_parameters()}
    groups = component(model, call["weight_decay"])
    seen["value"] = {
        "structure": type_name(groups),
        "groups": sorted(
            (_group(group, names) for group in groups) if isinstance(groups, (list, tuple)) else [],
            key=str,
        ),
        "model_kept": [
            bool(torch.equal(p, before[n][0])) and p.requires_grad == before[n][1]
            for n, p in model.named_parameters()
        ]
        + [module.training for module in model.modules()],
    }


def _group(group, names: dict[int, str]) -> dict:
    if not isinstance(group, dict):
        return {"type": type_name(group)}
    decay, members = group.get("weight_decay"), group.get("params")
    if isinstance(members, Tensor):
        members = [members]
    is_ordered = hasattr(members, "__iter__") and not isinstance(members, (set, dict, str))
    return {
        "type": "dict",
        "weight_decay": float(decay) if isinstance(decay, (int, float)) else type(decay).__name__,
        "params": sorted(_member(member, names) for member in members) if is_ordered else None,
    }


def _member(member, names) -> str:
    if isinstance(member, tuple) and len(member) == 2:  # torch takes (name, parameter), too
        member = member[1]
    is_parameter = isinstance(member, nn.Parameter)
    kind = "a parameter that is not the model's own" if is_parameter else type(member).__name__
    return names.get(id(member), f"not there: {kind}")
