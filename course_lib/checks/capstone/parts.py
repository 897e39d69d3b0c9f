"""Which part of a package is to blame: the parts have checks of their own, which know the zoo."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache

from course_lib.bugs.reference import modules_of_components, names_used, reference_source

from ..catalogue import all_checks
from ..verdict.running import Observer, run
from . import BEGINS_WITH


@dataclass(frozen=True)
class BrokenPart:
    """A part that fails its own check."""

    name: str
    diagnosis: str

    @property
    def text(self) -> str:
        return f"a part of it fails its own check: {self.diagnosis}"


@cache
def parts_used(check_name: str) -> set[str]:
    """The components that a check of a package runs, as our own are built of one another."""
    used, left = set(), list(BEGINS_WITH[check_name])
    while left:
        name = left.pop()
        if name not in used:
            used.add(name)
            left += names_used(reference_source(name)) & modules_of_components().keys()
    return used


def _without_limits(observer: Observer) -> Observer:
    """The observer, which is not asked for calls about limits: what else fails is to blame."""

    def observe_calls(calls):
        return observer(calls)

    observe_calls.sets_no_limits = True
    return observe_calls


def first_broken_part(
    check_name: str,
    defined: Mapping[str, Collection[str]],
    observe_part: Callable[[str, str], Observer],
    *,
    seed: int,
) -> BrokenPart | None:
    """The first part, in lesson order, that fails its own check; core properties count first.

    Args:
        check_name: which check of the package failed.
        defined: what each of its modules defines itself.
        observe_part: an observer of the part `(module, name)`.
    """
    used, lesser = parts_used(check_name), None
    for check in all_checks():
        if check.name not in used or check.name not in defined.get(check.module, ()):
            continue
        observer = _without_limits(observe_part(check.module, check.name))
        verdict = run(check, observer, seed=seed)
        broken = BrokenPart(check.name, f"{check.name}: {verdict.diagnosis}")
        if not verdict.core_passed:
            return broken
        if not verdict.edge_passed:
            lesser = lesser or broken
    return lesser
