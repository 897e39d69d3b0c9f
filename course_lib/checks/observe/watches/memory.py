"""How much a component holds at once, counted in numbers, not measured in bytes of the process.

A dispatch mode sees every tensor that torch makes, whatever function made it, and counts the
elements of all storages that are still alive. The count is the same on every machine and every
run, and it needs no large input: a T×S matrix stands out at a few hundred positions.
"""

from collections.abc import Callable

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..calls import MemoryCall
from ..observations import Observation


class MemoryWatch(TorchDispatchMode):
    """Records, in `.peaks`, how much was held at most: "numbers", and apart from them "masks".

    Masks are whatever is not floating point: booleans, and the positions they are made of.
    """

    def __init__(self):
        super().__init__()
        self._alive = {}
        self.peaks = {"numbers": 0, "masks": 0}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first use loads torch's compiler, which takes seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and not tensor.is_sparse:
                self._count(tensor)
        for kind in self.peaks:
            held = sum(size for _, of_kind, size in self._alive.values() if of_kind == kind)
            self.peaks[kind] = max(self.peaks[kind], held)
        return result

    def _count(self, tensor) -> None:
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata not in self._alive:  # a view holds nothing of its own
            size = storage.nbytes() // tensor.element_size()
            self._alive[reference.cdata] = (reference, _kind(tensor.dtype), size)


def _kind(dtype: torch.dtype) -> str:
    return "numbers" if dtype.is_floating_point or dtype.is_complex else "masks"


def watching_memory(observe_function: Callable) -> Callable:
    """The probe `observe_function`, which also writes down what the component held at once."""

    def observe_memory(component, call: MemoryCall, seen: Observation) -> None:
        with MemoryWatch() as watch:
            observe_function(component, call, seen)
        seen["peaks"] = watch.peaks
        seen["too_many"] = next((kind for kind, n in watch.peaks.items() if n >= call["limit"]), "")

    return observe_memory
