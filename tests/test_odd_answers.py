"""Whatever an answer returns, the observer can read it or says what it is: it never fails itself.

An error that only our own code raises would be told as the learner's. Here nothing is raised by
the answers, so whatever is called an error in a message would be ours.
"""

import importlib

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.checks import all_checks, observe_here, run
from course_lib.checks.cases.draw import Draw
from course_lib.checks.observe.observing import observe_call

pytestmark = pytest.mark.slow

ODD = {
    "nothing": lambda: None,
    "a text": lambda: "what was asked for",
    "a dict": lambda: {"output": torch.ones(3)},
    "an empty tuple": lambda: (),
    "nested lists": lambda: [[1.0, 2.0], [3.0]],
    "a number": lambda: 3.5,
    "a huge number": lambda: 10**400,
    "a class": lambda: dict,
    "a scalar": lambda: torch.tensor(2.0, requires_grad=True),
    "sparse": lambda: torch.ones(3, 5).to_sparse(),
    "complex": lambda: torch.ones(3, 5, dtype=torch.complex128),
    "conjugated": lambda: torch.ones(3, 5, dtype=torch.complex64).conj(),
    "negated": lambda: torch.ones(3, dtype=torch.complex64).conj().imag,
    "eight bits": lambda: torch.ones(3, 5).to(torch.float8_e4m3fn),
    "without memory": lambda: torch.ones(3, 5, device="meta"),
    "nothing in it": lambda: torch.ones(0, 5),
    "in pairs": lambda: (torch.ones(3), None),
    "objects": lambda: np.array([None, "a"]),
    "texts": lambda: np.array(["a", "b"]),
    "records": lambda: np.zeros(3, dtype=[("a", float)]),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False]),
}
CHECKS = [check for check in all_checks() if check.module != "clinic"]  # a test returns nothing
OURS = "course_lib/checks/observe"


def answering(check, odd):
    """The component, in which everything that is called returns something odd."""
    ours = getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)

    def answer(*args, **kwargs):
        return odd()

    if not isinstance(ours, type):
        return answer
    asked = ["forward"] if issubclass(ours, nn.Module) else ["encode", "decode", "append"]
    return type(check.name, (ours,), dict.fromkeys(asked, answer))


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_an_odd_answer_is_told_for_what_it_is(check, odd):
    component = answering(check, odd)
    for prop in check.properties[:3]:
        for case in list(prop.cases(Draw(0)))[:3]:
            seen = observe_call(component, {**case.call, "device": "cpu"})
            errors = [seen["error"], *(step["error"] for step in seen.get("steps", []))]
            raised = [error for error in errors if error and error["type"] != "NotAsAsked"]
            assert not raised, (raised, case.shown)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_message_calls_no_error_what_is_none(check):
    for odd in ("sparse", "complex", "nothing", "a text"):
        verdict = run(check, observe_here(answering(check, ODD[odd])), seed=0)
        assert "raised" not in verdict.message, verdict.message
        assert "cannot be read" not in verdict.message
