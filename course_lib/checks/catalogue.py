"""Every component that can be checked, in lesson order, found by name."""

import importlib
from dataclasses import replace
from functools import cache

from course_lib.bugs import MODULES
from course_lib.did_you_mean import did_you_mean

from .cases.asked_of_all import asked_of_all
from .cases.check import ComponentCheck


class UnknownComponent(LookupError):
    """No component has this name; the text suggests the nearest."""


def all_checks() -> list[ComponentCheck]:
    """The checks of all components, in the order in which the lessons teach them."""
    return [check for name in MODULES for check in _checks_of(name)]


@cache
def _checks_of(name: str) -> list[ComponentCheck]:
    """Those of one lesson module, in the order in which they stand: a folder lists its own.

    What is asked of all components comes after what their lessons ask.
    """
    module = importlib.import_module(f".lessons.{name}", __package__)
    found = getattr(module, "CHECKS", vars(module).values())
    return [
        replace(one, properties=[*one.properties, *asked_of_all(one)])
        for one in found
        if isinstance(one, ComponentCheck)
    ]


def find(name: str) -> ComponentCheck:
    """The check of the component called `name`.

    Raises:
        UnknownComponent: there is none.
    """
    checks = {check.name: check for check in all_checks()}
    if name in checks:
        return checks[name]
    raise UnknownComponent(f"no component is called {name!r}. {did_you_mean(name, checks)}")
