"""Call a component and write down what it did: arrays, numbers, and the error it raised.

A *call* says what to do, an *observation* what happened. Both are trees of dicts and lists with
NumPy arrays as leaves, so that they can cross a process boundary as they are.

    call         probe, dtype, device, args, kwargs          how to call a function
                 init, init_kwargs, weights, training        a module is built and filled first
                 warm_up, warm_up_training                   and called with these before
                 initial, attributes                         look at a fresh module's state, kinds
                 cotangents                                  ask for gradients as well
                 watch_devices                               look for tensors on another device
                 random                                      chance is part of what it does
    observation  error, outputs, structure, changed, gradients, mixed_devices, parameters, ...

Components of plain Python, without arrays, have a probe of their own in `plain.py`, those of
lesson 7 in `gpt.py`.
"""

import contextlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from . import caching, clinic, fixtures, gpt
from .answer import describe_error
from .devices import DeviceWatch
from .memory import watching_memory
from .plain import observe_plain
from .train import PROBES as TRAINING_PROBES
from .whole import observe_package

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def observe(component, call: Mapping) -> dict:
    """What `component` does in this `call`. Never raises: an error is part of what it did."""
    seen = {"error": None, "outputs": [], "structure": "", "changed": []}
    try:
        _PROBES[call["probe"]](component, call, seen)
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen


def _observe_function(component, call, seen) -> None:
    args, kwargs = _arguments(call)
    before = [_copy(value) for value in args]
    with _watching(call) as watch:
        result = component(*args, **kwargs)
    _record_result(result, seen)
    _record_changes(args, before, seen)
    _record_devices(watch, result, call, seen)
    _record_gradients(result, args, {}, call, seen)
    _record_calls(args, seen)


def _observe_module(component, call, seen) -> None:
    torch.manual_seed(0)
    with _watching(call) as watch:
        module = component(*call["init"], **call["init_kwargs"])
    if not isinstance(module, nn.Module):
        raise TypeError(f"{component.__name__}(…) must be an nn.Module")
    state = module.state_dict()
    seen["parameters"] = {name: list(tensor.shape) for name, tensor in state.items()}
    seen["trainable"] = sorted(name for name, _ in module.named_parameters())
    if call.get("initial"):
        seen["initial"] = {name: _array(tensor) for name, tensor in state.items()}
    if call.get("attributes"):
        seen["attributes"] = {name: _kind(module, name) for name in call["attributes"]}
    weights = call["weights"]
    if seen["parameters"] != {name: list(array.shape) for name, array in weights.items()}:
        return  # the judge compares the names and shapes; nothing can be computed without them
    module.to(dtype=DTYPES[call["dtype"]], device=call["device"])
    module.load_state_dict({name: _tensor(array, call) for name, array in weights.items()})
    module.train(call.get("warm_up_training", call["training"]))
    args, kwargs = _arguments(call)
    before = [_copy(value) for value in args]
    if watch:
        watch.settle([*module.parameters(), *module.buffers()])
    with watch or contextlib.nullcontext():
        for earlier in call.get("warm_up", ()):  # an earlier text must leave nothing behind
            parts = earlier if isinstance(earlier, list) else [earlier]
            module(*[_tensor(part, call) for part in parts])
        module.train(call["training"])
        result = module(*args, **kwargs)
    _record_result(result, seen)
    _record_changes(args, before, seen)
    _record_devices(watch, result, call, seen)
    _record_gradients(result, args, dict(module.named_parameters()), call, seen)


def _observe_influence(component, call, seen) -> None:
    """`future_influence`: a function of a function, with a gradient that must stay as it was."""
    fn = fixtures.build(call["fn"], DTYPES[call["dtype"]]).to(call["device"])
    x = _tensor(call["args"][0], call).requires_grad_(call["x_requires_grad"])
    x.grad = torch.ones_like(x) if call["x_requires_grad"] else None
    before = [_copy(x), *[_copy(p) for p in fn.parameters()]]
    result = component(fn, x)
    _record_result(result, seen)
    _record_changes([x, *fn.parameters()], before, seen)
    gradients = [x.grad, *[p.grad for p in fn.parameters()]]
    seen["kept_gradients"] = [None if g is None else _array(g) for g in gradients]
    seen["x_requires_grad"] = x.requires_grad
    seen["parameters_still_train"] = all(p.requires_grad for p in fn.parameters())


_PROBES = {
    "function": _observe_function,
    "module": _observe_module,
    "influence": _observe_influence,
    "plain": observe_plain,
    "package": observe_package,
    **gpt.PROBES,
    **TRAINING_PROBES,
    "caching": caching.observe_script,
    "memory": watching_memory(_observe_function),
    "clinic": clinic.observe_clinic,
    "consult": clinic.consult,
}


def _arguments(call) -> tuple[list, dict]:
    wants_gradients = call.get("cotangents") is not None
    args = [_argument(value, call, wants_gradients) for value in call["args"]]
    kwargs = {name: _argument(value, call, False) for name, value in call["kwargs"].items()}
    return args, kwargs


def _argument(value, call, wants_gradients: bool):
    if isinstance(value, np.ndarray) and call["dtype"] != "numpy":
        tensor = _tensor(value, call)
        return tensor.requires_grad_(wants_gradients and tensor.is_floating_point())
    if isinstance(value, dict) and "fixture" in value:
        return fixtures.build(value, DTYPES[call["dtype"]]).to(call["device"])
    if isinstance(value, dict) and "device" in value:  # the call's own device, as an argument
        return torch.device(call["device"])
    return value.copy() if isinstance(value, np.ndarray) else value


def _tensor(array: np.ndarray, call) -> Tensor:
    """The array on the call's device; floating point in the call's dtype, others as they are."""
    tensor = torch.from_numpy(array.copy())
    dtype = DTYPES[call["dtype"]] if tensor.is_floating_point() else None
    return tensor.to(device=call["device"], dtype=dtype)


def _watching(call):
    return DeviceWatch() if call.get("watch_devices") else contextlib.nullcontext()


def _copy(value):
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _record_result(result, seen) -> None:
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    seen["structure"] = type(result).__name__
    seen["n_parts"] = len(parts)
    seen["outputs"] = [_part(part) for part in parts[:8]]


def _part(value) -> dict:
    if isinstance(value, Tensor):
        return {
            "kind": "tensor",
            "array": _array(value),
            "dtype": str(value.dtype).removeprefix("torch."),
            "device": value.device.type,
            "requires_grad": value.requires_grad,
        }
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return {"kind": "array", "array": np.array(value), "dtype": str(value.dtype)}
    if isinstance(value, (bool, int, float)):
        return {"kind": "number", "array": np.array(float(value)), "dtype": type(value).__name__}
    return {"kind": "other", "array": None, "dtype": type(value).__name__}


def _array(tensor: Tensor) -> np.ndarray | dict:
    """A tensor as an array; bfloat16, which NumPy lacks, by its bits."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        return {"dtype": "bfloat16", "array": tensor.view(torch.uint16).numpy().copy()}
    return tensor.numpy().copy()


def _record_changes(args, before, seen) -> None:
    for position, (now, then) in enumerate(zip(args, before, strict=True)):
        if isinstance(now, Tensor):
            same = torch.equal(now.detach().nan_to_num(7.0), then.nan_to_num(7.0))
        elif isinstance(now, np.ndarray):
            same = np.array_equal(now, then, equal_nan=now.dtype.kind == "f")
        else:
            same = True
        if not same:
            seen["changed"].append(position)


def _record_calls(args, seen) -> None:
    """How often each fixture among the arguments was called."""
    counted = [arg.calls for arg in args if isinstance(arg, fixtures.Counting)]
    if counted:
        seen["calls"] = counted


def _kind(module: nn.Module, name: str) -> str:
    """What a module's attribute is: "NoneType", "Parameter", or "" where there is none."""
    return type(getattr(module, name)).__name__ if hasattr(module, name) else ""


def _record_devices(watch, result, call, seen) -> None:
    if not isinstance(watch, DeviceWatch):
        return
    seen["mixed_devices"] = watch.mixed[:4]
    parts = result if isinstance(result, (tuple, list)) else [result]
    seen["homeless_outputs"] = [n for n, part in enumerate(parts) if watch.is_homeless(part)]


def _record_gradients(result, args, parameters, call, seen) -> None:
    """Gradients of sum(output * cotangent), one cotangent (or None) for each output."""
    if call.get("cotangents") is None:
        return
    parts = result if isinstance(result, (tuple, list)) else [result]
    total = sum(
        (part * _tensor(cotangent, call)).sum()
        for part, cotangent in zip(parts, call["cotangents"], strict=True)
        if cotangent is not None
    )
    wanted = [arg for arg in args if isinstance(arg, Tensor) and arg.requires_grad]
    names = [f"argument {n}" for n, arg in enumerate(args) if any(arg is w for w in wanted)]
    wanted += list(parameters.values())
    names += list(parameters)
    if not total.requires_grad:
        seen["gradients"] = dict.fromkeys(names)
        return
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    seen["gradients"] = {
        name: None if gradient is None else _array(gradient)
        for name, gradient in zip(names, found, strict=True)
    }


from . import generation  # noqa: E402, F401 - it adds its probes to those above, and needs them
