"""The calls that new ones are made from: one of each core property, no two of one form."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import islice

import numpy as np

from ..check import Case, ComponentCheck
from ..draw import Draw

INPUTS = ("args", "kwargs", "tokens", "steps", "batches", "tensors")  # where a call has arrays
AT_MOST = 5
LOOKED_AT = 3  # of the first calls of a property, that with the most axes is taken
FURTHER = 1  # even sizes, where all that is drawn elsewhere is odd


class FirstCalls:
    """Calls of a component that leave nothing to chance, each of another form.

    They are drawn once for all kinds.
    """

    def __init__(self, check: ComponentCheck):
        self._check, self.dtype = check, check.dtype
        self._drawn = lru_cache(maxsize=1)(lambda seed: tuple(_first_calls(check, Draw(seed))))

    def of(self, draw: Draw) -> Sequence[Case]:
        return self._drawn(draw.started_from)

    def of_other_sizes(self, draw: Draw) -> Iterator[Case]:
        """Calls of sizes that no other call of the check draws."""
        return _first_calls(self._check, Draw(draw.started_from, further=FURTHER))

    def with_nothing_to_do(self, draw: Draw) -> Iterator[Case]:
        """Calls that the component says leave nothing to be done."""
        return (case for cases in self._check.idle for case in cases(Draw(draw.started_from)))


def _first_calls(check: ComponentCheck, draw: Draw) -> Iterator[Case]:
    met = []
    for prop in check.properties:
        if prop.group != "core" or prop.kind or len(met) == AT_MOST:
            continue
        cases = islice(prop.cases(deepcopy(draw)), LOOKED_AT)
        certain = [case for case in cases if not case.call.get("random")]
        new = [case for case in certain if _form(case.call) not in met]
        if new:
            chosen = max(new, key=_n_axes)
            met.append(_form(chosen.call))
            yield chosen


def arrays_of(call) -> list[np.ndarray]:
    """The arrays that the component is given."""
    found = []
    with_arrays(call, lambda array: found.append(array) or array)
    return found


def with_arrays(call, change: Callable[[np.ndarray], np.ndarray]):
    """The call with each array that the component is given replaced."""
    return call | {name: _changed(call[name], change) for name in INPUTS if name in call}


def _changed(value, change):
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict) and "fixture" not in value:
        return {key: _changed(one, change) for key, one in value.items()}
    return value


def _n_axes(case: Case) -> int:
    return sum(array.ndim for array in arrays_of(case.call) if 1 not in array.shape)


def _form(call) -> tuple:
    """What a call looks like but for sizes and values."""
    shapes = {(array.ndim, array.dtype.kind) for array in arrays_of(call)}
    names = {**call.get("kwargs", {}), **call.get("init_kwargs", {})}
    return call["probe"], sorted(shapes), sorted(names), call.get("cotangents") is not None
