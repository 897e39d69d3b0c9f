"""From a call to tensors, and from what a component did to plain arrays: what all probes share."""

import contextlib

import numpy as np
import torch
from torch import Tensor, nn

from ..given import fixtures
from ..given.layouts import lay_out, lay_out_array
from ..load.answer import NotAsAsked
from ..observations import Observation, Output
from ..watches.devices import DeviceWatch

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def arguments(call) -> tuple[list, dict]:
    wants_gradients = call.get("cotangents") is not None
    args = [argument(value, call, wants_gradients) for value in call["args"]]
    kwargs = {name: argument(value, call, False) for name, value in call["kwargs"].items()}
    return args, kwargs


def argument(value, call, wants_gradients: bool):
    if isinstance(value, np.ndarray) and call["dtype"] != "numpy":
        tensor = tensor_of(value, call)
        return tensor.requires_grad_(wants_gradients and tensor.is_floating_point())
    if isinstance(value, dict) and "fixture" in value:
        return fixtures.build(value, DTYPES[call["dtype"]]).to(call["device"])
    if isinstance(value, dict) and "device" in value:  # the call's own device, as an argument
        return torch.device(call["device"])
    if isinstance(value, np.ndarray):
        return lay_out_array(value.copy(), call.get("layout", "as it comes"))
    return value


def tensor_of(array: np.ndarray, call) -> Tensor:
    """The array on the call's device; floating point in the call's dtype, others as they are."""
    tensor = torch.from_numpy(array.copy())
    dtype = DTYPES[call["dtype"]] if tensor.is_floating_point() else None
    return laid_out(tensor.to(device=call["device"], dtype=dtype), call)


def laid_out(tensor: Tensor, call) -> Tensor:
    """The same numbers in memory as the call wants them."""
    return lay_out(tensor, call.get("layout", "as it comes"))


def watching(call):
    return DeviceWatch() if call.get("watch_devices") else contextlib.nullcontext()


def copy_of(value):
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


MOST_PARTS = 16  # of what is returned
PLAIN_TYPES = (bool, int, float, str, tuple, list, dict, np.ndarray, nn.Parameter, Tensor)


def type_name(value) -> str:
    """The name of a value's type: of the plain one, where it is a kind of it (a named tuple)."""
    plain = (known for known in PLAIN_TYPES if isinstance(value, known))
    return next(plain, type(value)).__name__


def record_result(result, seen: Observation) -> None:
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    seen["structure"] = type_name(result)
    seen["n_parts"] = len(parts)
    seen["outputs"] = [part_of(part) for part in parts[:MOST_PARTS]]


def part_of(value) -> Output:
    if isinstance(value, Tensor):
        array = array_or_none(value)
        dtype = str(value.dtype).removeprefix("torch.")
        if array is None:
            return {"kind": "other", "array": None, "dtype": f"{_form(value)} tensor of {dtype}"}
        return {
            "kind": "tensor",
            "array": array,
            "dtype": dtype,
            "device": value.device.type,
            "requires_grad": value.requires_grad,
        }
    if isinstance(value, np.integer):  # as good as an int to whoever counts with it
        return {"kind": "number", "array": np.array(float(value)), "dtype": "int"}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return {"kind": "array", "array": np.array(value), "dtype": str(value.dtype)}
    if isinstance(value, (bool, int, float)):
        return {"kind": "number", "array": as_float(value), "dtype": type_name(value)}
    if isinstance(value, np.ndarray):
        return {"kind": "other", "array": None, "dtype": f"array of {value.dtype}"[:60]}
    return {"kind": "other", "array": None, "dtype": type_name(value)}


def as_float(value) -> np.ndarray:
    try:
        return np.array(float(value))
    except OverflowError:
        return np.array(np.inf)


def _form(tensor: Tensor) -> str:
    """In which form a tensor keeps numbers that cannot be read."""
    if tensor.is_meta:
        return "meta"
    return "strided" if tensor.layout is torch.strided else str(tensor.layout).partition(".")[2]


def array_or_none(value) -> np.ndarray | dict | None:
    """A tensor or an array as an array; None for anything else, and for numbers NumPy lacks."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if not isinstance(value, Tensor):
        return None
    try:
        array = array_of(value)
    except (RuntimeError, TypeError, NotImplementedError):
        return None
    return None if isinstance(array, np.ndarray) and array.dtype.kind not in "biuf" else array


def array_of(tensor: Tensor) -> np.ndarray | dict:
    """A tensor as an array; bfloat16, which NumPy lacks, by its bits."""
    tensor = tensor.detach().as_subclass(Tensor).resolve_conj().resolve_neg().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        return {"dtype": "bfloat16", "array": tensor.view(torch.uint16).numpy().copy()}
    return tensor.numpy().copy()


def record_changes(args, before, seen: Observation) -> None:
    """The arguments as they are now, for the judge; for a bug's name, which of them changed."""
    seen["arguments"] = [array_or_none(arg) for arg in args]
    for position, (now, then) in enumerate(zip(args, before, strict=True)):
        if isinstance(now, Tensor):
            same = now.dtype == then.dtype and torch.equal(
                now.detach().nan_to_num(7.0), then.nan_to_num(7.0)
            )
        elif isinstance(now, np.ndarray):
            same = np.array_equal(now, then, equal_nan=now.dtype.kind == "f")
        else:
            same = True
        if not same:
            seen["changed"].append(position)


def record_calls(args, seen: Observation) -> None:
    """How often each fixture among the arguments was called."""
    counted = [arg.calls for arg in args if isinstance(arg, fixtures.Counting)]
    if counted:
        seen["calls"] = counted


def further_names(module: nn.Module) -> dict[str, str]:
    """Of parameters that have several names: the first, by each of the others."""
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    every = module.named_parameters(remove_duplicate=False)
    return {name: first[id(one)] for name, one in every if first[id(one)] != name}


def kind_of(module: nn.Module, name: str) -> str:
    """What a module's attribute is: "NoneType", "Parameter", or "" where there is none."""
    return type_name(getattr(module, name)) if hasattr(module, name) else ""


def record_devices(watch, result, call, seen: Observation) -> None:
    if not isinstance(watch, DeviceWatch):
        return
    seen["mixed_devices"] = watch.mixed[:4]
    parts = result if isinstance(result, (tuple, list)) else [result]
    seen["unplaced_outputs"] = [n for n, part in enumerate(parts) if watch.is_unplaced(part)]


def record_gradients(result, args, parameters, call, seen: Observation) -> None:
    """Gradients of sum(output * cotangent), one cotangent (or None) for each output."""
    if call.get("cotangents") is None:
        return
    parts = result if isinstance(result, (tuple, list)) else [result]
    if len(parts) != len(call["cotangents"]):
        raise NotAsAsked(f"{len(parts)} values came back instead of {len(call['cotangents'])}")
    asked = [(p, c) for p, c in zip(parts, call["cotangents"], strict=True) if c is not None]
    for part, cotangent in asked:
        if not isinstance(part, Tensor):
            raise NotAsAsked(f"a tensor was to come back, not a {type_name(part)}")
        if part.shape != cotangent.shape:
            shapes = f"{tuple(part.shape)} instead of {tuple(cotangent.shape)}"
            raise NotAsAsked(f"the output has the shape {shapes}")
    total = sum((part * tensor_of(cotangent, call)).sum() for part, cotangent in asked)
    wanted = [arg for arg in args if isinstance(arg, Tensor) and arg.requires_grad]
    names = [f"argument {n}" for n, arg in enumerate(args) if any(arg is w for w in wanted)]
    within = {
        f"argument {n}.{name}": p
        for n, arg in enumerate(args)
        if isinstance(arg, nn.Module)
        for name, p in arg.named_parameters()
    }
    trained = {n: p for n, p in {**within, **parameters}.items() if p.requires_grad}
    wanted += list(trained.values())
    names += list(trained)
    if not total.requires_grad:
        seen["gradients"] = dict.fromkeys(names)
        return
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    seen["gradients"] = {
        name: None if gradient is None else array_of(gradient)
        for name, gradient in zip(names, found, strict=True)
    }
