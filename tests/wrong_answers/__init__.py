"""Wrong answers that no bug of the zoo behaves like.

A check must reject each of them and name none: a wrong name sends a learner looking for a mistake
that is not there. They are kept out of the zoo for that, and must stay unlike it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from course_lib.transformer import MODULES


@dataclass(frozen=True)
class WrongAnswer:
    """An implementation of `component` that is wrong in a way of its own."""

    component: str
    implementation: Callable


_wrong_answers: list[WrongAnswer] = []


def wrong_answer(component: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a wrong answer for a component."""

    def register(implementation: Callable) -> Callable:
        _wrong_answers.append(WrongAnswer(component, implementation))
        return implementation

    return register


def all_wrong_answers() -> list[WrongAnswer]:
    """Every wrong answer of every module."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    return list(_wrong_answers)
