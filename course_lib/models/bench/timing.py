"""Two ways of doing the same, timed in turns, so that a slow minute slows both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .machine import synchronize


@dataclass(frozen=True)
class Timing:
    """Seconds of both, round by round."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast ours is: the median over the rounds of theirs / ours."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The ratios' quartiles."""
        low, _, high = statistics.quantiles(self.ratios, n=4)
        return low, high

    @property
    def ratios(self) -> list[float]:
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def take_turns(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    device: torch.device,
    *,
    rounds: int,
    warm_up: int = 2,
) -> Timing:
    """Time both in turns; who begins changes from round to round."""
    for _ in range(warm_up):
        ours()
        theirs()
    times: dict = {ours: [], theirs: []}
    for number in range(rounds):
        order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        for work in order:
            synchronize(device)
            started = time.perf_counter()
            work()
            synchronize(device)
            times[work].append(time.perf_counter() - started)
    return Timing(tuple(times[ours]), tuple(times[theirs]))
