"""Which known bug does a wrong component behave like? The zoo is run on the same calls.

A bug is named only if it agrees with what was seen in *every* call of the check, so the calls of
a check must include inputs that tell its bugs apart; a test holds them to it. Two bugs that
no call tells apart are both named. Calls that are asked of all components alike (`asked_of_all/`)
count where nothing else went wrong: whoever has a bug there and a second mistake is told the bug.
"""

import sys
from collections.abc import Callable

import numpy as np

from course_lib.bugs import Bug, bugs_of

from ..judges.alike import alike
from ..observe.calls import Call
from ..observe.observations import Observation
from ..observe.observing import observe_call

MOST_REMEMBERED = 2**28  # bytes of what was observed: most take some kilobytes, some many more


def bugs_like(
    component: str,
    drawn_from: tuple,
    calls: list[Call],
    observations: list[Observation],
    wrong: list[int],
    others: list[int],
    is_wrong: Callable[[int, Observation], bool],
) -> list[Bug]:
    """The zoo's bugs that did the same in all calls that are compared.

    Args:
        drawn_from: the seed, the device, and how many calls there are, of which they follow.
        wrong: which calls went wrong; they are compared first, being the likeliest to differ.
        others: which calls are compared besides.
        is_wrong: would this have gone wrong in the call of this number? A bug explains nothing
            that it does right.
    """

    def does(bug: Bug, n: int) -> Observation:
        return what_it_does(bug, calls[n], (*drawn_from, n))

    return [
        bug
        for bug in bugs_of(component)
        if all(alike(observations[n], does(bug, n), calls[n]) for n in (*wrong, *others))
        and any(is_wrong(n, does(bug, n)) for n in wrong)
    ]


class _Memory:
    """Observations by what they are of; all are forgotten when they grow too large together."""

    def __init__(self, most_bytes: int):
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._found: dict[tuple, Observation] = {}

    def get(self, key: tuple) -> Observation | None:
        return self._found.get(key)

    def put(self, key: tuple, observation: Observation) -> None:
        n_bytes = bytes_of(observation)
        if self._n_bytes + n_bytes > self._most_bytes:
            self._found, self._n_bytes = {}, 0
        self._found[key] = observation
        self._n_bytes += n_bytes


def bytes_of(value) -> int:
    """About how much memory an observation takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return 64 + sum(64 + bytes_of(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return 64 + sum(8 + bytes_of(part) for part in value)
    return sys.getsizeof(value)


_remembered = _Memory(MOST_REMEMBERED)


def what_it_does(bug: Bug, call: Call, which: tuple) -> Observation:
    """What a bug does in this call: observed once, for all who are compared with it.

    Args:
        which: `drawn_from` and the call's number, which decide it. A patient says it all by itself.
    """
    key = bug.name, repr(call["patient"]) if "patient" in call else which
    found = _remembered.get(key)
    if found is None:
        found = observe_call(bug.implementation, call)
        _remembered.put(key, found)
    return found
