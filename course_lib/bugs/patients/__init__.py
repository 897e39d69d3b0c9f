"""What the tests of lesson 10 are tried on: implementations, right ones and faulty ones.

A test never meets them. It gets stand-ins (`checks/observe/given/stand_ins.py`), and what it missed
is told by `symptom`, so that the name of a patient and its source stay unknown.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

import torch

from .. import Bug

_MODULES = {
    "test_attention": "attention",
    "test_causality": "model",
    "test_layer_norm": "norm",
    "test_cached_generation": "generation",
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


def right(test: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a right implementation for `test`."""
    return faulty(test, symptom="")


def faulty(test: str, *, symptom: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a faulty implementation for `test`.

    Raises:
        ValueError: another patient of that test has the same name.
    """

    def register(implementation: Callable) -> Callable:
        _enter(Patient(implementation.__name__, test, symptom, implementation))
        return implementation

    return register


def from_the_zoo(test: str, bug: Bug, implementation: Callable | None = None) -> None:
    """Register a bug, or another `implementation` that is wrong as the bug is.

    Raises:
        ValueError: another patient of that test has the same name.
    """
    _enter(Patient(bug.name, test, bug.symptom, implementation or bug.implementation))


def _enter(patient: Patient) -> None:
    if (patient.test, patient.name) in _patients:
        raise ValueError(f"the name of a patient must be unique, got {patient.name!r} twice.")
    _patients[patient.test, patient.name] = patient


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
        return {test.removeprefix("test_").replace("attention", "masked_attention"): implementation}
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
