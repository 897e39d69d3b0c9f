"""Which part of a package is to blame: the parts have checks of their own, which know the zoo."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..catalogue import all_checks
from ..verdict.running import Observer, run
from . import MODULES_OF


@dataclass(frozen=True)
class BrokenPart:
    """A part that fails its own check."""

    name: str
    diagnosis: str

    @property
    def text(self) -> str:
        return f"a part of it fails its own check: {self.diagnosis}"


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
    lesser = None
    for check in all_checks():
        if check.module not in MODULES_OF[check_name]:
            continue
        if check.name not in defined.get(check.module, ()):
            continue
        verdict = run(check, observe_part(check.module, check.name), seed=seed)
        broken = BrokenPart(check.name, f"{check.name}: {verdict.diagnosis}")
        if not verdict.core_passed:
            return broken
        if not verdict.edge_passed:
            lesser = lesser or broken
    return lesser
