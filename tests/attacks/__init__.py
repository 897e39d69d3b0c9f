"""Attacks on the grader: what somebody may hand in who wants points, or wants others to have none.

Each module here holds lists of `Attack`, by kind; `all_attacks` finds them. `hand_in` makes a class
of them and of two honest students, and `run` grades it: `python -m attacks`, or `make attack`.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

EARNS_NOTHING = "earns nothing"
EARNS_THE_CORE = "earns the core alone"  # its answer is right but for an edge that it lies about
EARNS_ALL = "earns all"  # what it does is odd and no fault: its right answers count as anybody's

# What an attack is made of when it is no answer to a component.
NOTEBOOK = "(notebook)"  # Python that changes `notebook`, a notebook as it was handed out
TEXT = "(text)"  # the text of the notebook's file
FILES = "(files)"  # a shell script in the folder where the notebook should lie
NAME = "(name)"  # the name of the student's folder, which holds a right notebook

KINDS = {
    0: "the notebook: something other than an answer decides",
    1: "the judge's own process: it reads what students wrote",
    2: "the observer: it shares an interpreter with the submission",
    3: "copies: the course is there to read",
    4: "budgets: processor, memory, time, and what was not given back",
    5: "names and files: what lies there is no file of the student's own",
    6: "what can be known beforehand",
    7: "the library that is the answer",
}


@dataclass(frozen=True)
class Attack:
    """One way to earn, harm or stop.

    Args:
        kind: one of `KINDS`.
        component: whose answer it is; the check of a whole package; or one of the words above.
        source: the text of the answer's cell, or of the package's module `model`; else as said
            above.
        expects: what must come of it.
    """

    name: str
    kind: int
    component: str
    source: str
    expects: str = EARNS_NOTHING


@cache
def all_attacks() -> tuple[Attack, ...]:
    """Every attack of every module here, each once."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        for value in vars(import_module(f"{__name__}.{path.stem}")).values():
            for each in value if isinstance(value, list) else []:
                if isinstance(each, Attack):
                    found[each] = None
    return tuple(sorted(found, key=lambda each: each.kind))
