"""Which property of its check catches each bug of the zoo, and which bugs get their name."""

from collections.abc import Iterator
from dataclasses import dataclass

from course_lib.bugs import bugs_of

from ..catalogue import all_checks
from ..observe.here import observe_here
from .running import run


@dataclass(frozen=True)
class Row:
    """One bug in its own component's check."""

    lesson: str
    component: str
    bug: str
    title: str
    caught_by: tuple[str, ...]  # rules that do not hold, core first
    costs_core: bool
    is_named: bool
    shares_name_with: tuple[str, ...]


def matrix(component: str | None = None, *, seed: int = 0) -> Iterator[Row]:
    """A row for every bug, or for those of one component."""
    for check in all_checks():
        if component not in (None, check.name):
            continue
        for bug in bugs_of(check.name):
            verdict = run(check, observe_here(bug.implementation), seed=seed)
            yield Row(
                lesson=check.lesson,
                component=check.name,
                bug=bug.name,
                title=bug.title,
                caught_by=verdict.broken,
                costs_core=not verdict.core_passed,
                is_named=bug.title in verdict.names,
                shares_name_with=tuple(name for name in verdict.names if name != bug.title)
                if bug.title in verdict.names
                else (),
            )
