"""Observe steps of training: what each returns, and what it leaves of model and optimizer."""

import torch

from ..calls import StepsCall
from ..given.trained import (
    build_model,
    build_optimizer,
    logits_of_some,
    name_of_dtype,
    set_in_evaluation,
    state_of,
)
from ..observations import Observation, blank
from .record import tensor_of
from .training import (
    array_of,
    came_back,
    dtype_of,
    modes_of,
    parts_in_training,
    watching_devices,
)


def observe_steps(component, call: StepsCall, seen: Observation) -> None:
    """Steps of one model and optimizer, one after the other, with `component` as `train_step`."""
    model = build_model(call["model"], dtype_of(call)).to(call["device"]).train(call["training"])
    set_in_evaluation(model, call["in_evaluation"])
    optimizer = build_optimizer(call["optimizer"], model)
    if call["stale"]:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.75) if parameter.requires_grad else None
    seen["steps"] = []
    with watching_devices(call, seen):
        for batch in call["batches"]:
            seen["steps"] += _one_step(component, model, optimizer, batch, call)


def _one_step(component, model, optimizer, batch, call) -> list[dict]:
    model.calls.clear()
    given, before = (
        [tensor_of(batch[name], call) for name in ("inputs", "targets")] for _ in range(2)
    )
    kwargs = dict(batch["kwargs"])
    if "autocast_dtype" in kwargs:
        kwargs["autocast_dtype"] = getattr(torch, kwargs["autocast_dtype"])
    back = came_back(lambda: component(model, optimizer, *given, **kwargs))
    left = _left_after_step(model, optimizer, batch, kwargs)
    left["arguments"] = [array_of(ids) for ids in given]
    left["changed"] = [n for n, ids in enumerate(given) if not torch.equal(ids, before[n])]
    left["outputs"] = came_back(lambda: logits_of_some(model, before[0]))["outputs"]
    return [back, left]


def _left_after_step(model, optimizer, batch, kwargs) -> dict:
    left = dict(model.named_parameters()) | state_of(model, optimizer)
    return blank() | {
        "value": {
            **_how_it_ran(model, batch, kwargs),
            "in_training_after": parts_in_training(model),
            "lr": [float(group["lr"]) for group in optimizer.param_groups],
            "dtypes": sorted({name_of_dtype(p.dtype) for p in model.parameters()}),
        },
        "left": {name: array_of(tensor) for name, tensor in left.items()},
    }


def _how_it_ran(model, batch, kwargs) -> dict:
    """What the model saw of its calls; nothing for a batch without targets, which needs none."""
    if (batch["targets"] == -100).all():
        return {}
    rows = max((call["rows"] for call in model.calls), default=0)
    asked = -(-len(batch["inputs"]) // kwargs.get("n_chunks", 1))
    return {
        "modes_during": modes_of(model.calls),
        "autocast": sorted({call["autocast"] for call in model.calls}),
        "rows": "as asked" if rows == asked else "more" if rows > asked else "fewer",
    }
