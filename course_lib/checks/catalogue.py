"""Every component that can be checked, in lesson order, found by name."""

import importlib

from course_lib.bugs import MODULES
from course_lib.did_you_mean import did_you_mean

from .cases import ComponentCheck


class UnknownComponent(LookupError):
    """No component has this name; the text suggests the nearest."""


def all_checks() -> list[ComponentCheck]:
    """The checks of all components, in the order in which the lessons teach them."""
    found = []
    for name in MODULES:
        module = importlib.import_module(f".{name}", __package__)
        found += [v for v in vars(module).values() if isinstance(v, ComponentCheck)]
    return found


def find(name: str) -> ComponentCheck:
    """The check of the component called `name`.

    Raises:
        UnknownComponent: there is none.
    """
    checks = {check.name: check for check in all_checks()}
    if name in checks:
        return checks[name]
    raise UnknownComponent(f"no component is called {name!r}. {did_you_mean(name, checks)}")
