"""Observe a function, a module, and a function of a function."""

import contextlib

import torch
from torch import nn

from ..calls import FunctionCall, InfluenceCall, ModuleCall
from ..given import fixtures
from ..load.answer import NotAsAsked
from ..observations import Observation
from .record import (
    DTYPES,
    arguments,
    array_of,
    copy_of,
    further_names,
    kind_of,
    record_calls,
    record_changes,
    record_devices,
    record_gradients,
    record_result,
    tensor_of,
    type_name,
    watching,
)


def observe_function(component, call: FunctionCall, seen: Observation) -> None:
    args, kwargs = arguments(call)
    before = [copy_of(value) for value in args]
    with watching(call) as watch:
        result = component(*args, **kwargs)
    record_result(result, seen)
    record_changes(args, before, seen)
    record_devices(watch, result, call, seen)
    record_gradients(result, args, {}, call, seen)
    record_calls(args, seen)


def observe_module(component, call: ModuleCall, seen: Observation) -> None:
    torch.manual_seed(0)
    with watching(call) as watch:
        module = component(*call["init"], **call["init_kwargs"])
    require_module(module)
    state = module.state_dict()
    seen["parameters"] = {name: list(tensor.shape) for name, tensor in state.items()}
    seen["trainable"] = sorted(name for name, _ in module.named_parameters())
    seen["same_tensor"] = further_names(module)
    if call.get("initial"):
        seen["initial"] = {name: array_of(tensor) for name, tensor in state.items()}
    if call.get("attributes"):
        seen["attributes"] = {name: kind_of(module, name) for name in call["attributes"]}
    weights = call["weights"]
    if seen["parameters"] != {name: list(array.shape) for name, array in weights.items()}:
        return  # the judge compares the names and shapes; nothing can be computed without them
    module.to(dtype=DTYPES[call["dtype"]], device=call["device"])
    module.load_state_dict({name: tensor_of(array, call) for name, array in weights.items()})
    module.train(call.get("warm_up_training", call["training"]))
    args, kwargs = arguments(call)
    before = [copy_of(value) for value in args]
    if watch:
        watch.mark_placed([*module.parameters(), *module.buffers()])
    with watch or contextlib.nullcontext():
        for earlier in call.get("warm_up", ()):  # an earlier text must leave nothing behind
            parts = earlier if isinstance(earlier, list) else [earlier]
            module(*[tensor_of(part, call) for part in parts])
        module.train(call["training"])
        result = module(*args, **kwargs)
    record_result(result, seen)
    record_changes(args, before, seen)
    record_devices(watch, result, call, seen)
    record_gradients(result, args, dict(module.named_parameters()), call, seen)


def require_module(made) -> None:
    if not isinstance(made, nn.Module):
        raise NotAsAsked(f"an nn.Module was to be made, not a {type_name(made)}")


def observe_influence(component, call: InfluenceCall, seen: Observation) -> None:
    """`future_influence`: a function of a function, with a gradient that must stay as it was."""
    fn = fixtures.build(call["fn"], DTYPES[call["dtype"]]).to(call["device"])
    x = tensor_of(call["args"][0], call).requires_grad_(call["x_requires_grad"])
    x.grad = torch.ones_like(x) if call["x_requires_grad"] else None
    before = [copy_of(x), *[copy_of(p) for p in fn.parameters()]]
    result = component(fn, x)
    record_result(result, seen)
    record_changes([x, *fn.parameters()], before, seen)
    gradients = [x.grad, *[p.grad for p in fn.parameters()]]
    seen["kept_gradients"] = [None if g is None else array_of(g) for g in gradients]
    seen["x_requires_grad"] = x.requires_grad
    seen["parameters_still_train"] = all(p.requires_grad for p in fn.parameters())
