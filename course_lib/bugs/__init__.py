"""The zoo: faulty implementations, kept so that a check can name a learner's mistake.

A bug is the right code with one misconception in it, under a name that says what it does wrong.
Every bug stands on its own: with the imports of its module, and under the name of its component,
its source is a complete (and wrong) answer.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from course_lib.transformer import MODULES

# torch warns of some mistakes that are made here on purpose: no news to whoever runs the zoo.
warnings.filterwarnings("ignore", module=r"course_lib\.bugs\b")


@dataclass(frozen=True)
class Bug:
    """One way to get one component wrong.

    Args:
        title: completes "agrees with: …" for the learner.
        misconception: what the writer believed.
        symptom: what one sees of it: an error, a curve, a heat map.
        threads: public threads, `owner/repo#number`, where the same mistake was reported.
    """

    name: str
    component: str
    title: str
    misconception: str
    symptom: str
    threads: tuple[str, ...]
    implementation: Callable


_bugs: dict[str, Bug] = {}


def bug(
    component: str,
    *,
    title: str,
    misconception: str,
    symptom: str,
    threads: tuple[str, ...] = (),
) -> Callable[[Callable], Callable]:
    """A decorator that puts a faulty function or class into the zoo and returns it unchanged.

    Raises:
        ValueError: another bug has the same name.
    """

    def register(implementation: Callable) -> Callable:
        name = implementation.__name__
        if name in _bugs:
            raise ValueError(f"the name of a bug must be unique, got {name!r} twice.")
        _bugs[name] = Bug(name, component, title, misconception, symptom, threads, implementation)
        return implementation

    return register


def all_bugs() -> list[Bug]:
    """Every bug, in lesson order and then as written."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    modules = [f"{__name__}.{module}" for module in MODULES]
    return sorted(_bugs.values(), key=lambda bug: modules.index(bug.implementation.__module__))


def bugs_in(module: ModuleType) -> list[Bug]:
    """The bugs that one module of the zoo holds, as written."""
    return [bug for bug in _bugs.values() if bug.implementation.__module__ == module.__name__]


def bugs_of(component: str) -> list[Bug]:
    """The bugs of one component, as written; an empty list where there are none."""
    return [bug for bug in all_bugs() if bug.component == component]
