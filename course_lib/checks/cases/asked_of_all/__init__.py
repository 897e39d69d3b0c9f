"""What is asked of all components alike, in one place a kind.

Each kind makes new calls from those that a component's own properties make (`first_calls.py`), or
lets the component draw them. `NOT_ASKED` says of whom a kind has nothing to ask, and why.
"""

from ..check import ComponentCheck, Property
from . import (
    earlier_calls,
    in_use,
    layouts,
    real_sizes,
    results,
    some_gradients,
    without_gradients,
)
from .first_calls import FirstCalls

KINDS = (layouts, results, in_use, earlier_calls, some_gradients, without_gradients, real_sizes)


def asked_of_all(check: ComponentCheck) -> list[Property]:
    """The properties that a component has because all have them."""
    asked = [kind for kind in KINDS if check.name not in kind.NOT_ASKED]
    first_calls = FirstCalls(check)
    return [prop for kind in asked for prop in kind.properties(first_calls)]
