"""Right answers that look unlike ours: every check must accept them, and name no bug.

They obey the whole contract, edges included, and like the bugs each stands on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from course_lib.transformer import MODULES


@dataclass(frozen=True)
class Variant:
    """One more right way to write one component; `title` says what is different about it."""

    name: str
    component: str
    title: str
    implementation: Callable


_variants: dict[str, Variant] = {}


def variant(component: str, *, title: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a right function or class and returns it unchanged.

    Raises:
        ValueError: another variant has the same name.
    """

    def register(implementation: Callable) -> Callable:
        name = implementation.__name__
        if name in _variants:
            raise ValueError(f"the name of a variant must be unique, got {name!r} twice.")
        _variants[name] = Variant(name, component, title, implementation)
        return implementation

    return register


def all_variants() -> list[Variant]:
    """Every variant, in lesson order and then as written."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    modules = [f"{__name__}.{module}" for module in MODULES]
    return sorted(_variants.values(), key=lambda v: modules.index(v.implementation.__module__))


def variants_of(component: str) -> list[Variant]:
    """The variants of one component, as written; an empty list where there are none."""
    return [variant for variant in all_variants() if variant.component == component]
