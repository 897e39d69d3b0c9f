"""A caller who does with a result what callers do: keeps it, changes it, and calls again.

It stands around a component and lets calls through. Before each further call it looks whether the
results that it keeps are as they were, and then writes into them.
"""

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FILLED_WITH = 7
BARRED = "autograd can never use a result"  # of inference mode: who trains on it gets an error
OVERLAPPING = "some entries of a result share their memory"


class Careless:
    """A component, and what became of results that were kept and of results that were changed.

    What is found stands in `.found`, at most once each.
    """

    def __init__(self, component):
        functools.update_wrapper(self, component, updated=())
        self.component, self.kept, self.found = component, [], []

    def __call__(self, *args, **kwargs):
        made = self.call(self.component, args, kwargs)
        if isinstance(made, nn.Module):
            made.register_forward_pre_hook(lambda _, args: self._before_a_call())
            made.register_forward_hook(lambda _, args, result: self._keep(args, result))
            return made
        return _Asked(made, self) if isinstance(self.component, type) else made

    def call(self, function, args, kwargs):
        """One call, and what came of the ones before it."""
        self._before_a_call()
        result = function(*args, **kwargs)
        self._keep([*args, *kwargs.values()], result)
        return result

    def _before_a_call(self) -> None:
        self._look("was made")
        for one in self.kept:
            one.change()
        self._look("was written to")

    def leave(self) -> None:
        """The last look."""
        self._before_a_call()

    def _keep(self, args, result) -> None:
        self.kept.append(_Kept(args, result))
        self._look("was made")

    def _look(self, since: str) -> None:
        for one in self.kept:
            for what in one.is_other(since):
                if what not in self.found:
                    self.found.append(what)


class _Asked:
    """An object whose methods are called carelessly."""

    def __init__(self, made, caller: Careless):
        self.__dict__.update(_made=made, _caller=caller)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._made, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._caller.call(found, args, kwargs)


class _Kept:
    """A result with the arguments it came from, and copies of both as they must be."""

    def __init__(self, args, result):
        self.args, self.parts = list(args), _parts_of(result)
        self.args_then, self.parts_then = map(_copies, (self.args, self.parts))
        self.is_changed = False
        self.noted = [BARRED] if any(map(_is_barred, self.parts)) else []

    def is_other(self, since: str) -> list[str]:
        """What is not as it must be, since another result was made, or was written to."""
        found = list(self.noted)
        if not all(map(_same, self.parts, self.parts_then)):
            found.append(f"a result changed when another one {since}")
        if self.is_changed and not all(map(_same, self.args, self.args_then)):
            found.append("an argument changed with the result")
        return found

    def change(self) -> None:
        """Write into the result, all of it."""
        if self.is_changed:
            return
        self.args_then, self.is_changed = _copies(self.args), True
        for n, part in enumerate(self.parts):
            others = self.parts[:n] + self.parts[n + 1 :]
            others_then = _copies(others)
            try:
                is_as_written = all([_write_into(part, turn) for turn in (1, 2)])
            except (RuntimeError, ValueError):  # of what several places of a tensor share
                is_as_written = False
            if not is_as_written:
                self.noted.append(OVERLAPPING)
            if not all(map(_same, others, others_then)):
                self.noted.append("one part of a result changed with another")
        self.parts_then = _copies(self.parts)


def _parts_of(result) -> list:
    parts = list(result) if isinstance(result, tuple) else [result]
    return [part for part in parts if isinstance(part, (Tensor, np.ndarray)) or _is_plain(part)]


def _is_plain(value) -> bool:
    """A list of numbers, or of pairs of them."""
    return isinstance(value, list) and all(isinstance(one, (int, tuple)) for one in value)


def _is_barred(part) -> bool:
    """Was it made in inference mode?"""
    return isinstance(part, Tensor) and part.is_inference()


@torch.no_grad()
def _write_into(part, turn: int) -> bool:
    """Write into each place another number than into most others, and say whether it is there."""
    if isinstance(part, list):
        part.reverse()
        part.append(FILLED_WITH)
        return True
    size = part.numel() if isinstance(part, Tensor) else part.size
    numbers = np.arange(size).reshape(part.shape) * 37 // turn % 11
    if isinstance(part, np.ndarray):
        numbers = (numbers % 2 == 0) if part.dtype.kind == "b" else numbers.astype(part.dtype)
        part[...] = numbers
        return np.array_equal(part, numbers)
    numbers = torch.from_numpy(numbers).to(part.device)
    numbers = (numbers % 2 == 0) if part.dtype is torch.bool else numbers.to(part.dtype)
    part.detach().copy_(numbers)
    return torch.equal(part.detach(), numbers)


def _copies(values) -> list:
    return [_copy(value) for value in values]


def _copy(value):
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) or _is_plain(value) else value


def _same(one, other) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one.detach().nan_to_num(7.0), other.detach().nan_to_num(7.0))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other if _is_plain(one) and _is_plain(other) else True
