"""What is only noted down inside a submission's interpreter earns no points, and is listed."""

import importlib
import re
from pathlib import Path

import pytest

from course_lib.checks import all_checks, observe_here, run
from course_lib.checks.cases.draw import Draw
from course_lib.checks.judges.advice import FACTS, NOTES, RULES

CHECKS = Path(importlib.import_module("course_lib.checks").__file__).parent
# What a judge compares with numbers of its own, or takes as the answer itself.
COMPARED = {"parameters", "initial", "gradients", "kept_gradients", "left", "draws", "counts"}
COMPARED.add("steps")  # each an observation of its own
# A learner's test is judged by what it accepts and rejects: there is nothing else to see of it.
OF_COMPONENTS = [check for check in all_checks() if check.lesson != "10_bug_clinic"]


def notes_alone(seen: dict) -> dict:
    """An observation of which nothing is left but notes."""
    kept = {name: value for name, value in seen.items() if name in NOTES}
    value = seen.get("value")
    if isinstance(value, dict) and set(value) <= {*FACTS, "facts"}:
        kept["value"] = value
    steps = [notes_alone(step) for step in seen.get("steps", [])]
    return kept | {"error": None, "steps": steps}


@pytest.mark.parametrize("check", OF_COMPONENTS, ids=lambda check: check.name)
def test_no_points_rest_on_notes_alone(check):
    ours = getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)

    def observer(calls):
        reply = observe_here(ours)(calls)
        return reply | {"observations": [notes_alone(seen) for seen in reply["observations"]]}

    verdict = run(check, observer, seed=3)
    assert not verdict.core_passed
    assert not verdict.edge_passed
    asked = {prop.rule for prop in check.properties if any(prop.cases(Draw(3)))}
    resting = asked - set(verdict.broken)
    assert resting == {rule for name, rule in RULES if name == check.name}


def test_every_note_that_a_judge_reads_is_listed():
    text = "\n".join(
        path.read_text()
        for room in ("judges", "cases", "lessons", "capstone")
        for path in sorted((CHECKS / room).rglob("*.py"))
    )
    read = set(re.findall(r'\.flag\(\s*"(\w+)"', text)) | set(
        re.findall(r'_was\(seen, "(\w+)"', text)
    )
    assert read - COMPARED <= set(NOTES)
    facts = set(re.findall(r'(?:_left|fact_is)\(\s*"(\w+)"', text))
    assert facts <= set(FACTS)
    assert len(read) > 10
    assert len(facts) > 5


def test_every_note_has_a_reason():
    assert all(len(reason) > 10 for reason in [*NOTES.values(), *FACTS.values(), *RULES.values()])
