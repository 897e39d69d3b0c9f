"""A right answer is right in whatever words it refuses, and in whatever kind of tuple it answers.

Each component of the course is dressed up in a way that its contract leaves open, and must pass.
"""

import functools
import importlib
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.checks import all_checks, find, local, observe_here, run
from course_lib.grading.results import judge_check

pytestmark = pytest.mark.slow

CHECKS = [check for check in all_checks() if check.module != "clinic"]  # a test returns None
REFUSING = [
    check for check in CHECKS if any("Error" in prop.rule for prop in check.properties)
]  # evaluate refuses a text of one token in any way it likes


def ours(check):
    return getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)


def dressed(component, around):
    """`component`, with `around` applied to each function in it that a check may call."""
    if not isinstance(component, type):
        return around(component)
    methods = [name for name in vars(component) if not name.startswith("_") or name == "__init__"]
    body = {name: around(getattr(component, name)) for name in methods}
    return type(component.__name__, (component,), body)


# --- what an error says ---------------------------------------------------------------------------


def raising(make_error):
    """Errors of the contract are replaced by what `make_error` makes of them."""

    def around(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except (ValueError, FloatingPointError) as error:
                raise make_error(error) from None

        return wrapped

    return around


def own_kind(error):
    return type("Refused", (type(error),), {})("so geht das nicht")


WORDINGS = {
    "other words": lambda error: type(error)("this cannot be done"),
    "no words": lambda error: type(error)(),
    "another language": lambda error: type(error)("その値は使えません"),
    "a class of its own": own_kind,
}


def test_some_twenty_components_refuse_something():
    assert len(REFUSING) >= 22


@pytest.mark.parametrize("make_error", WORDINGS.values(), ids=WORDINGS)
@pytest.mark.parametrize("check", REFUSING, ids=lambda check: check.name)
def test_the_words_of_an_error_cost_nothing(check, make_error):
    verdict = run(check, observe_here(dressed(ours(check), raising(make_error))), seed=0)
    assert verdict.passed, verdict.message
    assert verdict.share == 1


SILENT = ("train_step", "cached_attention", "cached_logits")  # what passes an error on


@pytest.mark.parametrize(
    "check", [c for c in REFUSING if c.name not in SILENT], ids=lambda check: check.name
)
def test_words_that_do_not_name_the_value_get_a_note(check):
    silent = dressed(ours(check), raising(WORDINGS["no words"]))
    verdict = run(check, observe_here(silent), seed=0)
    assert any("says nothing" in note and "costs no points" in note for note in verdict.notes)
    assert not run(check, observe_here(ours(check)), seed=0).notes


def test_a_note_is_told_at_the_desk_and_in_class_after_a_pass(capsys):
    silent = dressed(ours(find("split_heads")), raising(WORDINGS["no words"]))
    said = "the ValueError says nothing; its reader will look for n_heads and"
    local.check(silent)
    assert said in " ".join(capsys.readouterr().out.split())
    exercise = SimpleNamespace(component="split_heads", points=2.0)
    result = judge_check(
        exercise, find("split_heads"), {}, lambda job: observe_here(silent)(job["calls"]), seed=0
    )
    assert result["points"] == 2.0
    assert said in " ".join(result["message"].split())


@pytest.mark.parametrize("check", REFUSING, ids=lambda check: check.name)
def test_an_error_of_another_type_costs_the_edge(check):
    broken = dressed(ours(check), raising(lambda error: ArithmeticError(str(error))))
    verdict = run(check, observe_here(broken), seed=0)
    assert verdict.core_passed, verdict.message
    assert not verdict.edge_passed
    assert "Error" in " ".join(verdict.broken)


# --- what comes back ------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: object
    second: object


class OwnTensor(torch.Tensor):
    pass


class OwnParameter(nn.Parameter):
    pass


class OwnArray(np.ndarray):
    pass


class OwnInt(int):
    pass


class OwnFloat(float):
    pass


class OwnText(str):
    __slots__ = ()


class OwnList(list):
    pass


class OwnDict(dict):
    pass


KINDS = {int: OwnInt, float: OwnFloat, str: OwnText, list: OwnList, dict: OwnDict}
OF_NUMPY = {int: np.int64, float: np.float64}


def in_kind(value, kinds):
    """`value`, in subclasses of its types."""
    if isinstance(value, torch.Tensor):
        return value.as_subclass(OwnTensor)
    if isinstance(value, np.ndarray):
        return value.view(OwnArray)
    if isinstance(value, tuple):
        return Pair(*(in_kind(part, kinds) for part in value))
    if type(value) is int and value >= 2**63:
        return value
    made = kinds.get(type(value))
    if isinstance(value, list):
        value = [in_kind(part, kinds) for part in value]
    return made(value) if made else value


def answering(kinds):
    def around(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            return in_kind(function(*args, **kwargs), kinds)

        return wrapped

    return around


@pytest.mark.parametrize("kinds", [KINDS, OF_NUMPY], ids=["subclasses", "numpy"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_subclass_of_what_is_asked_for_is_what_is_asked_for(check, kinds):
    verdict = run(check, observe_here(dressed(ours(check), answering(kinds))), seed=0)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("name", ["Affine", "LayerNorm"])
def test_parameters_of_a_subclass_are_parameters(name):
    class Own(ours(find(name))):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            for key, parameter in list(self._parameters.items()):
                if parameter is not None:
                    setattr(self, key, OwnParameter(parameter.data))

    Own.__name__ = name
    verdict = run(find(name), observe_here(Own), seed=0)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("name", ["attention", "masked_attention", "attention_numpy"])
def test_a_list_of_two_is_told_and_costs_nothing(name):
    def listed(*args, **kwargs):
        return list(ours(find(name))(*args, **kwargs))

    verdict = run(find(name), observe_here(listed), seed=0)
    assert verdict.passed, verdict.message
    assert verdict.notes == ("a list came back where a tuple was to come. That costs no points.",)
