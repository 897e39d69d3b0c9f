"""Attacks on the grader, as data."""

from dataclasses import dataclass

EARNS_NOTHING = "earns nothing"
EARNS_ALL = "earns all"


@dataclass(frozen=True)
class Attack:
    """One way to earn, harm or stop."""

    name: str
    kind: int
    component: str
    source: str
    expects: str = EARNS_NOTHING
