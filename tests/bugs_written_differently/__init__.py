"""Bugs of the zoo in other words: the same mistake as another writer would have made it.

The zoo never loads these. A check must still give them the zoo's name, because it names a mistake
by what the code does, not by how it reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from course_lib.transformer import MODULES


@dataclass(frozen=True)
class SecondForm:
    """Another writing of the bug called `bug`."""

    bug: str
    implementation: Callable


_second_forms: list[SecondForm] = []


def same_bug_as(bug: str) -> Callable[[Callable], Callable]:
    """A decorator that registers an implementation as behaving like the bug of that name."""

    def register(implementation: Callable) -> Callable:
        _second_forms.append(SecondForm(bug, implementation))
        return implementation

    return register


def all_second_forms() -> list[SecondForm]:
    """Every second form of every module."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    return list(_second_forms)
