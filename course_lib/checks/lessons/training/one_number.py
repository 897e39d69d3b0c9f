"""Judges of one number: a loss or a rate, and how exact it must be."""

import math

import numpy as np

from ...judges.expect import Judge, at, differs, no_error
from ...judges.findings import Finding, number
from ...judges.seen import Seen
from ...judges.tolerances import BY_DTYPE, Tolerance

# A loss may be taken in float32 whatever the logits are, and torch clips with an eps of 1e-6.
IN_FLOAT32 = Tolerance(relative=1e-5, absolute=1e-6)
STEP = {
    "float64": Tolerance(relative=5e-5, absolute=5e-5),
    "float32": BY_DTYPE["float32"],
    "bfloat16": BY_DTYPE["bfloat16"],
    "float16": BY_DTYPE["float16"],
}


def number_differs(got, expected: float, tolerance: Tolerance, name: str = "") -> Finding | None:
    """A finding unless both are nan, or near each other."""
    if math.isnan(expected) or not np.isfinite(got).all():
        same = np.isnan(got).all() and math.isnan(expected)
        what = f"wrong value{at(name, ())}"
        return None if same else Finding(what, expected=number(expected), got=number(got))
    return differs(got, np.asarray(expected), tolerance, name)


def is_a_number(seen: Seen) -> Finding | None:
    """Judge: a Python number, whatever its value."""
    finding = no_error(seen)
    if finding:
        return finding
    if seen.structure in ("tuple", "list") or len(seen.outputs) != 1:
        got = f"a {seen.structure} of {seen.n_parts}"
        return Finding("wrong return value", expected="one float", got=got, how="type")
    output = seen.outputs[0]
    is_double = output.kind == "array" and output.dtype == "float64"  # NumPy's float is a float
    is_number = output.kind == "number" and output.dtype in ("float", "int", "float64")
    if not (is_number or is_double) or output.array is None or output.array.shape != ():
        got = "None (return is missing)" if output.dtype == "NoneType" else output.dtype
        got = f"a tensor ({output.dtype})" if output.kind == "tensor" else got
        how = "nothing" if output.dtype == "NoneType" else "type"
        return Finding("wrong type", expected="a Python float", got=got, how=how)
    return None


def number_is(expected: float, tolerance: Tolerance, name: str = "") -> Judge:
    """Judge: a Python number of this value."""

    def judge(seen: Seen) -> Finding | None:
        finding = is_a_number(seen)
        return finding or number_differs(seen.outputs[0].array, expected, tolerance, name)

    return judge
