"""Which tensors a component makes on the wrong device, told without a second device.

The mode below keeps a list of tensors that were made with no `device` given: on a machine with an
accelerator they would be on the CPU while the inputs are not. A tensor is off the list once it
has been moved (`.to(x.device)`, `.type_as(x)`). An operation that mixes a listed
tensor with any other is what would fail there, and is recorded.
"""

import weakref

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

_MOVES = {torch.Tensor.type_as, torch.Tensor.cpu, torch.Tensor.cuda}
# A CPU index into a tensor elsewhere is allowed, and so is asking for shape or dtype.
_HARMLESS = {torch.Tensor.__getitem__, torch.Tensor.__setitem__, torch.Tensor.copy_}


class DeviceWatch(TorchFunctionMode):
    """Records, in `.mixed`, operations between default-device tensors and others."""

    def __init__(self):
        self._unplaced = {}
        self.mixed: list[str] = []

    def is_unplaced(self, value) -> bool:
        """Was this tensor made without a device and never moved?"""
        known = self._unplaced.get(id(value))
        return known is not None and known() is value

    def mark_placed(self, tensors) -> None:
        """Treat these tensors as moved: a module's parameters and buffers, say."""
        for tensor in tensors:
            self._unplaced.pop(id(tensor), None)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _device_constructors():
            # nn.init and factories given `out=` fill what is there already.
            if kwargs.get("device") is None and kwargs.get("out") is None:
                self._mark(result)
            return result
        if func in _MOVES or (func is torch.Tensor.to and _names_a_device(args[1:], kwargs)):
            # Where there is one device the same object comes back; elsewhere it would be a copy.
            # So copy it: the copy may meet the inputs, and the original still may not.
            return result.clone() if self.is_unplaced(result) else result
        tensors = list(_tensors_in((args, kwargs)))
        unplaced = [tensor for tensor in tensors if self.is_unplaced(tensor)]
        if not unplaced:
            return result
        if len(unplaced) == len(tensors):
            self._mark(result)
        elif func not in _HARMLESS and any(tensor.dim() > 0 for tensor in unplaced):
            self.mixed.append(getattr(func, "__name__", str(func)))
        return result

    def _mark(self, result) -> None:
        for tensor in _tensors_in(result):
            self._unplaced[id(tensor)] = weakref.ref(tensor)


def _names_a_device(args, kwargs) -> bool:
    """Does `.to(...)` say where to go, and not only which dtype to take?"""
    places = (torch.device, str, torch.Tensor)
    return any(isinstance(value, places) for value in [*args, *kwargs.values()])


def _tensors_in(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)
    elif isinstance(value, dict):
        yield from _tensors_in(list(value.values()))
