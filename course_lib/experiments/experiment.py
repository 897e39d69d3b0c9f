"""What an experiment is: what is compared, under which seeds, what is seen and claimed of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


class Runs:
    """What was seen in all runs: `runs[arm, measure]` is an array with a row for each seed.

    A measure that is one number a run gives (n_seeds,), a curve (n_seeds, n_points).
    """

    def __init__(self, seen: Mapping[str, Sequence[Mapping[str, object]]]):
        self._seen = seen

    @property
    def arms(self) -> list[str]:
        return list(self._seen)

    @property
    def measures(self) -> list[str]:
        """The names of all that was seen, in the order in which they were given."""
        return list(dict.fromkeys(name for runs in self._seen.values() for name in runs[0]))

    def has(self, arm: str, measure: str) -> bool:
        """Whether this arm has this measure."""
        return measure in self._seen[arm][0]

    def __getitem__(self, key: tuple[str, str]) -> np.ndarray:
        arm, measure = key
        return np.array([run[measure] for run in self._seen[arm]], dtype=float)


@dataclass(frozen=True)
class Claim:
    """A sentence about all runs of an experiment, and what would refute it.

    Args:
        says: the sentence. Numbers are not typed: it is a function of the runs.
        holds: whether the runs bear it out.
        not_found: whether it says that something one might expect was not seen.
    """

    says: Callable[[Runs], str]
    holds: Callable[[Runs], bool]
    not_found: bool = False


@dataclass(frozen=True)
class Experiment:
    """Arms under seeds, and what is claimed of them.

    Args:
        lesson: whose page speaks of it, such as "02_self_attention".
        question: what it was made to find out.
        run: `run(page, seed, **arm)` gives what was seen, numbers and lists of numbers by name.
            `page` holds the names of `uses`, as the page defines them. It does not touch what
            another run could see, and leaves all chance to the seed.
        arms: the arguments of each arm, by what the arm is called; one of them is the control.
        uses: the functions, classes and constants of the page that it needs.
        bugs: the bugs of the zoo that it needs, as `page.bugs[name]`.
        seeds: how many, counted from 0. Fewer than five need a reason.
        claims: what is claimed.
        why_so_few: the reason.
        formats: how a measure is printed, such as "{:.0%}"; "{:.3g}" where nothing is said.
    """

    lesson: str
    question: str
    run: Callable
    arms: Mapping[str, Mapping[str, object]]
    claims: Sequence[Claim]
    uses: Sequence[str] = ()
    bugs: Sequence[str] = ()
    seeds: int = 5
    why_so_few: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.seeds < 5 and not self.why_so_few:
            raise ValueError(
                f"an experiment has five seeds or says why it has fewer, got {self.seeds}."
            )
        if len(self.arms) < 2:
            raise ValueError(
                "an experiment compares: it has two arms or more, one of which could refute the "
                f"claim, got {len(self.arms)}."
            )

    @property
    def tasks(self) -> list[tuple[str, int]]:
        """Every run there is: `(arm, seed)`, so that each arm gets its first seed first."""
        return [(arm, seed) for seed in range(self.seeds) for arm in self.arms]


def spread(values: np.ndarray, shown: str = "{:.3g}") -> str:
    """The least and the largest of some numbers, in words: "0.02 to 0.31"."""
    least, largest = shown.format(np.min(values)), shown.format(np.max(values))
    return least if least == largest else f"{least} to {largest}"


def share(values: np.ndarray) -> str:
    """The same of shares: "75 % to 100 %"."""
    return spread(values, "{:.0%}").replace("%", " %")


def how_many(kept: np.ndarray) -> str:
    """In how many runs something holds: "in all 5 seeds", "in 3 of 5 seeds"."""
    n = int(np.sum(kept))
    return f"in all {len(kept)} seeds" if n == len(kept) else f"in {n} of {len(kept)} seeds"
