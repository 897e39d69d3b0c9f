"""Gradients of a module that drops at random, by the difference that a small step makes.

What is dropped depends on torch's own generator, which stands at the same place for each call. So
an output is a smooth function of the weights, and its gradient is known without an oracle.
"""

from dataclasses import replace

import numpy as np

from ..judges.expect import no_error
from ..judges.findings import Finding, number
from ..judges.seen import Malformed, Seen
from .check import Case
from .draw import Draw

STEP = 1e-5
DIFFERENCE = 1e-4  # of what all entries come to together; a step of 1e-5 is off by some 1e-9


def slope_case(case: Case, draw: Draw, output_shape: tuple[int, ...]) -> Case:
    """The gradients of a call in training, with dropout, beside what a small step comes to."""
    weights = case.call["weights"]
    drawn = {id(array): draw.normal(*array.shape) for array in weights.values()}  # once if tied
    directions = {name: drawn[id(array)] for name, array in weights.items()}
    cotangent = draw.normal(*output_shape)

    def moved(by: float) -> dict:
        there = {name: weights[name] + by * directions[name] for name in weights}
        return case.call | {"weights": there}

    calls = [case.call | {"cotangents": [cotangent]}, case.call, moved(STEP), moved(-STEP)]
    call = {"probe": "in turn", "dtype": case.call["dtype"], "device": "cpu", "calls": calls}

    def judge(seen: Seen) -> Finding | None:
        steps = seen.steps
        if len(steps) != len(calls):
            raise Malformed("steps")
        finding = next(filter(None, map(no_error, steps)), None)
        if finding:
            return finding
        first, again, further, back = [_output_of(step, output_shape) for step in steps]
        if not np.array_equal(first, again):
            return None  # what it draws from is its own: no two calls can be compared
        difference = (cotangent * (further - back)).sum() / (2 * STEP)
        slopes = [
            (gradient * directions[name]).sum()
            for name, gradient in steps[0].gradients.items()
            if name in directions and gradient is not None
        ]
        scale = np.sqrt(np.square(slopes).sum()) + abs(difference)
        if abs(sum(slopes) - difference) <= DIFFERENCE * scale:
            return None
        return Finding(
            "gradients are those of another output than came back",
            expected=f"{number(difference)} along a step, by the difference that it makes",
            got=number(sum(slopes)),
            how="gradient",
        )

    return replace(case, call=call, judge=judge)


def _output_of(step: Seen, shape: tuple[int, ...]) -> np.ndarray:
    array = step.outputs[0].array if step.outputs else None
    if array is None or array.shape != shape:
        raise Malformed("outputs")
    return array
