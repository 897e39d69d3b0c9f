"""What the probes of training share: what a call returned, and in which mode a model was.

What a call leaves behind counts as much as what it returns, so each call gives two observations in
`steps`: what came back, and then what is left.
"""

import warnings
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from ..given.trained import name_of_dtype
from ..load.answer import describe_error
from ..observations import Observation, Output, blank
from ..watches.devices import DeviceWatch
from .record import array_or_none, as_float, type_name


def came_back(call) -> Observation:
    """What a call returned, or the error it raised."""
    seen = blank()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
        seen["structure"] = type_name(result)
        seen["n_parts"] = 1
        seen["outputs"] = [number_of(result)]
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen


def number_of(value) -> Output:
    if isinstance(value, Tensor):
        array = array_or_none(value) if value.numel() <= 100 else None
        return {"kind": "tensor", "array": array, "dtype": name_of_dtype(value.dtype)}
    if isinstance(value, (int, float)):
        return {"kind": "number", "array": as_float(value), "dtype": type_name(value)}
    return {"kind": "other", "array": None, "dtype": type_name(value)}


def parts_in_training(model) -> list[str]:
    return sorted(name for name, module in model.named_modules() if module.training)


def dtype_of(call) -> torch.dtype:
    return getattr(torch, call["dtype"])


def array_of(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor as an array; bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()


def watching_devices(call, seen):
    if not call.get("watch_devices"):
        return nullcontext()
    watch = DeviceWatch()
    seen["mixed_devices"], seen["unplaced_outputs"] = watch.mixed, []
    return watch


def is_unplaced(watch, part) -> bool:
    return isinstance(watch, DeviceWatch) and watch.is_unplaced(part)


def modes_of(calls) -> list[bool]:
    """In which modes the model and its head were."""
    return sorted(set().union(*(call["training"] for call in calls)))
