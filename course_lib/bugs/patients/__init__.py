"""What the tests of lesson 10 are tried on: implementations, right ones and faulty ones.

A test never meets them. It gets stand-ins (`checks/observe/given/stand_ins.py`), and what it missed
is told by `symptom`, so that the name of a patient and its source stay unknown.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch

from .. import Bug
from ..reference import modules_of_components, reference_module, reference_source

_MODULES = {
    "test_attention": "attention",
    "test_causality": "model",
    "test_layer_norm": "norm",
    "test_cached_generation": "generation",
}
_COMPONENTS = {
    "test_attention": "masked_attention",
    "test_layer_norm": "layer_norm",
    "test_cached_generation": "generate_cached",
}


@dataclass(frozen=True)
class Patient:
    """One implementation that a test is tried on.

    Args:
        test: the component of lesson 10 that it is for.
        symptom: what one sees of its fault; empty when it is right.
    """

    name: str
    test: str
    symptom: str
    implementation: Callable

    @property
    def is_right(self) -> bool:
        return not self.symptom


_patients: dict[tuple[str, str], Patient] = {}


def enter(name: str, test: str, symptom: str, implementation: Callable) -> None:
    """Register a patient; its symptom is empty when it is right.

    Raises:
        ValueError: another patient of that test has the same name.
    """
    if (test, name) in _patients:
        raise ValueError(f"the name of a patient must be unique, got {name!r} twice.")
    _patients[test, name] = Patient(name, test, symptom, implementation)


def right(test: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a right implementation for `test`."""
    return faulty(test, symptom="")


def faulty(test: str, *, symptom: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a faulty implementation for `test`."""

    def register(implementation: Callable) -> Callable:
        enter(implementation.__name__, test, symptom, implementation)
        return implementation

    return register


def from_the_zoo(test: str, bug: Bug, *, name: str = "", symptom: str = "", **options) -> None:
    """Register the component that `test` is about, wrong as it is when a part has this bug.

    Args:
        name: the patient's, where it is not the bug's; as is `symptom`.
        options: what the component is called with besides what the test gives it.

    Raises:
        ValueError: another patient of that test has the same name.
    """
    implementation = partial(with_bugs(_COMPONENTS[test], bug), **options)
    enter(name or bug.name, test, symptom or bug.symptom, implementation)


def with_bugs(component: str, *bugs: Bug) -> Callable:
    """The component as it is when it, or parts of its module that it calls, have these bugs."""
    module = modules_of_components()[component]
    names = {**vars(import_module(f"course_lib.bugs.{module}")), **vars(reference_module(module))}
    parts = [name for name, home in modules_of_components().items() if home == module]
    for source in [*map(reference_source, parts), *(bug.source for bug in bugs)]:
        exec(source, names)
    return names[component]


def patients_of(test: str) -> list[Patient]:
    """All patients of one test, as written."""
    import_module(f"{__name__}.{_MODULES[test]}")
    return [patient for patient in _patients.values() if patient.test == test]


def admit(test: str, name: str, config: Mapping | None, seed: int) -> dict[str, Callable]:
    """The callables that a test of this patient needs, by name.

    Args:
        config: the sizes of the model, where there is one, whose weights come from `seed`.
    """
    import_module(f"{__name__}.{_MODULES[test]}")
    implementation = _patients[test, name].implementation
    if config is None:
        return {_COMPONENTS[test]: implementation}
    from .model import fresh_model, logits

    model = copy.copy(fresh_model(config, seed))  # who remembers it, remembers it for one test
    if test == "test_causality":
        return {"model": lambda ids: implementation(model, ids)}

    def generate_cached(ids, n_new):
        with torch.no_grad():
            return implementation(model, ids, n_new)

    return {"model": lambda ids: logits(model, ids), "generate_cached": generate_cached}


for _module in _MODULES.values():
    import_module(f"{__name__}.{_module}")
