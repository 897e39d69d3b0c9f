"""Did the same thing happen in two observations, up to rounding or, if asked for, chance?"""

import numpy as np

from ..observe.calls import Call
from ..observe.observations import Observation
from .plain import same_value
from .seen import Malformed, Output, Seen

# Two ways of writing one bug differ by rounding alone: far less than the bug itself.
_ALIKE = {
    "float64": 1e-7,
    "float32": 1e-3,
    "float16": 2e-2,
    "bfloat16": 1e-1,
    "numpy": 1e-7,
    "plain": 0.0,  # components of plain Python: the same or not
}

# Chance differs from one writing to another, and only what it does on average can be compared.
# Not measured by the spread: a case left to chance gives a thousand numbers or more, near 1 or
# all alike, or chance itself moves their mean as far as this.
_ALIKE_ON_AVERAGE = 0.15

_SPREAD_ALIKE = 0.1  # of fresh weights: the standard deviation, as a share of itself

# What else an observation says must be the same to the letter.
_SAME = (
    "unplaced_outputs",
    "parameters",
    "trainable",
    "x_requires_grad",
    "parameters_still_train",
    "attributes",
    "calls",
    "too_many",
    "inside",
    "afterwards",
)


def alike(one: Observation, other: Observation, call: Call) -> bool:
    """Did the same thing happen in both observations, up to rounding or, if asked for, chance?"""
    same_array = _same_on_average if call.get("random") else _same_array
    same_weights = _same_spread if call.get("random") else _same_array
    try:
        return _alike(Seen(one), Seen(other), _tolerance(call), same_array, same_weights)
    except Malformed:
        return False


def _tolerance(call: Call) -> float:
    """How far two writings of one bug may differ: usually by rounding in the call's dtype."""
    return call.get("alike", _ALIKE[call["dtype"]])


def _alike(one: Seen, other: Seen, tolerance: float, same_array, same_weights) -> bool:
    if (one.error is None) != (other.error is None):
        return False
    if one.error and other.error:
        return one.error["type"] == other.error["type"]
    if bool(one.flag("mixed_devices")) != bool(other.flag("mixed_devices")):
        return False
    if one.structure != other.structure or one.flag("changed") != other.flag("changed"):
        return False
    if any(one.flag(name) != other.flag(name) for name in _SAME):
        return False
    if one.flag("initial") is not None or other.flag("initial") is not None:
        a, b = one.initial, other.initial
        if a.keys() != b.keys() or not all(same_weights(a[k], b[k], tolerance) for k in a):
            return False
    if one.flag("left") is not None or other.flag("left") is not None:
        a, b = one.arrays("left"), other.arrays("left")
        if a.keys() != b.keys() or not all(_same_array(a[k], b[k], tolerance) for k in a):
            return False
    if not same_value(one.value, other.value) or len(one.steps) != len(other.steps):
        return False
    if not all(
        _alike(a, b, tolerance, same_array, same_weights)
        for a, b in zip(one.steps, other.steps, strict=True)
    ):
        return False
    outputs = list(zip(one.outputs, other.outputs, strict=False))
    if len(one.outputs) != len(other.outputs):
        return False
    return all(_same_output(a, b, tolerance, same_array) for a, b in outputs) and _same_gradients(
        one, other, tolerance
    )


def _same_output(one: Output, other: Output, tolerance: float, same_array) -> bool:
    same_form = one.dtype == other.dtype and one.requires_grad == other.requires_grad
    return same_form and same_array(one.array, other.array, tolerance)


def _same_gradients(one: Seen, other: Seen, tolerance: float) -> bool:
    for field in ("gradients", "kept_gradients"):
        if (one.flag(field) is None) != (other.flag(field) is None):
            return False
    if one.flag("gradients") is not None:
        a, b = one.gradients, other.gradients
        if a.keys() != b.keys() or not all(_same_array(a[k], b[k], tolerance) for k in a):
            return False
    if one.flag("kept_gradients") is not None:
        a, b = one.kept_gradients, other.kept_gradients
        if len(a) != len(b):
            return False
        return all(_same_array(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return True


def _same_array(one: np.ndarray | None, other: np.ndarray | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and np.allclose(
        one.astype(np.float64),
        other.astype(np.float64),
        rtol=tolerance,
        atol=tolerance,
        equal_nan=True,
    )


def _same_on_average(one: np.ndarray | None, other: np.ndarray | None, tolerance: float) -> bool:
    """As many zeros, and the others with the same mean and spread, whatever their order."""
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and np.allclose(
        _averages(one), _averages(other), rtol=0.0, atol=_ALIKE_ON_AVERAGE, equal_nan=True
    )


def _averages(array: np.ndarray) -> list[float]:
    values = array.astype(np.float64)
    others = values[values != 0]
    share = float((values == 0).mean())
    return [share, float(others.mean()), float(others.std())] if others.size else [share, 0.0, 0.0]


def _same_spread(one: np.ndarray | None, other: np.ndarray | None, tolerance: float) -> bool:
    """The same numbers, or as many zeros and the same mean and spread, measured by the spread."""
    if one is None or other is None or one.shape != other.shape:
        return one is other
    if _same_array(one, other, tolerance):
        return True
    (zeros, mean, spread), (*others, other_spread) = _averages(one), _averages(other)
    difference = np.abs(np.subtract([zeros, mean], others)) / [1.0, max(spread, 1e-30)]
    return bool((difference < _ALIKE_ON_AVERAGE).all()) and bool(
        np.isclose(spread, other_spread, rtol=_SPREAD_ALIKE, atol=0.0)
    )
