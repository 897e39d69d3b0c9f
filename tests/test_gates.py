"""The three gates: stubs fail, right answers pass, every bug is caught, and named if known.

Under one seed or two each answer has a test of its own, in `make test`. Under all twenty the
answers to one component are judged together, since what a seed draws is drawn once for all of them:
in `make test-seeds`.
"""

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from bugs_written_differently import all_second_forms
from right_variants import all_variants, variants_of
from wrong_answers import all_wrong_answers

from course_lib.bugs import Bug, ChangeError, all_bugs, bugs_of
from course_lib.checks import all_checks, find, observe_here, run
from course_lib.checks.verdict.diagnosis import what_it_does
from course_lib.checks.verdict.hints import GENERAL
from course_lib.lessons.skeletons.to_write import left_to_write

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("warmup", "tokens", "attention", "masking")  # modules
SEEDS = range(20)
CHECKS = all_checks()
BUGS = {bug.name: bug for bug in all_bugs()}


class Ours(NamedTuple):
    """Our own component, among the answers that must pass."""

    name: str
    component: str
    implementation: Callable


def our_own():
    for check in CHECKS:
        module = importlib.import_module(f"course_lib.transformer.{check.module}")
        yield Ours(check.name, check.name, getattr(module, check.name))


# --- the gates: what must hold of the verdicts on one answer, by seed ---------------------------


def passes(answer, verdicts):
    for seed, verdict in verdicts.items():
        assert verdict.passed, f"seed {seed}: {verdict.message}"


def is_caught_and_named(bug, verdicts):
    for seed, verdict in verdicts.items():
        assert not verdict.passed, f"not caught with seed {seed}"
        assert verdict.diagnosis == bug.title, f"seed {seed}: {verdict.message}"
        assert bug.title in " ".join(verdict.message.split())
        first, *others = verdict.message.splitlines()  # nbgrader cuts longer lines
        assert len(first) <= 67
        assert all(len(line) <= 83 for line in others)


def is_caught_and_never_misnamed(form, verdicts):
    names = set()
    for seed, verdict in verdicts.items():
        assert not verdict.passed, f"not caught with seed {seed}"
        names.add(verdict.diagnosis if "agrees with" in verdict.message else "no name")
    assert names in ({BUGS[form.bug].title}, {"no name"})


def fails_without_a_name(answer, verdicts):
    for seed, verdict in verdicts.items():
        assert not verdict.passed, f"not caught with seed {seed}"
        assert "agrees with" not in verdict.message, verdict.message


GATES = {
    "passes": (passes, [*our_own(), *all_variants()]),
    "is caught and named": (is_caught_and_named, all_bugs()),
    "is caught, never misnamed": (is_caught_and_never_misnamed, all_second_forms()),
    "fails without a name": (fails_without_a_name, all_wrong_answers()),
}


# --- who goes through them, and under which seeds -----------------------------------------------


def component_of(answer):
    return answer.component if hasattr(answer, "component") else BUGS[answer.bug].component


def name_of(answer):
    return answer.name if hasattr(answer, "name") else answer.implementation.__name__


def each_by_itself():
    for title, (gate, answers) in GATES.items():
        for answer in answers:
            seeds = range(2 if find(component_of(answer)).module in QUICK else 1)
            yield pytest.param(gate, answer, seeds, id=f"{name_of(answer)} {title}")


def all_of_a_component():
    for title, (gate, answers) in GATES.items():
        for check in CHECKS:
            its_own = [answer for answer in answers if component_of(answer) == check.name]
            if its_own:
                yield pytest.param(gate, its_own, id=f"{check.name}: each {title}")


@pytest.mark.parametrize(("gate", "answer", "seeds"), [*each_by_itself()])
def test_a_gate_holds(gate, answer, seeds):
    gate(answer, {seed: verdict_on(answer, seed) for seed in seeds})


@pytest.mark.seeds
@pytest.mark.parametrize(("gate", "answers"), [*all_of_a_component()])
def test_a_gate_holds_under_every_seed(gate, answers):
    verdicts = [{} for _ in answers]
    for seed in SEEDS:
        for answer, by_seed in zip(answers, verdicts, strict=True):
            observe = remembered(answer, seed) if isinstance(answer, Bug) else observe_here
            by_seed[seed] = verdict_on(answer, seed, observe=observe)
    broken = []
    for answer, by_seed in zip(answers, verdicts, strict=True):
        try:
            gate(answer, by_seed)
        except AssertionError as error:
            broken.append(f"{name_of(answer)}: {error}")
    assert not broken, "\n\n".join(broken)


def verdict_on(answer, seed, *, observe=observe_here):
    try:
        return run(find(component_of(answer)), observe(answer.implementation), seed=seed)
    except (ChangeError, NotImplementedError) as missing:  # of a bug, of an oracle
        pytest.fail(f"{name_of(answer)}: {missing}", pytrace=False)


def remembered(bug, seed):
    """An observer that looks at a bug once: for its own verdict, and for everybody's diagnosis."""

    def observe_calls(calls):
        seen = [
            what_it_does(bug, call, (seed, "cpu", len(calls), n)) for n, call in enumerate(calls)
        ]
        return {"status": "done", "message": "", "observations": seen, "seconds": 0.0}

    observe_calls.sets_no_limits = True
    return lambda implementation: observe_calls


# --- what the gates rest on ---------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_has_core_and_edge_properties_and_hints(check):
    assert {prop.group for prop in check.properties} == {"core", "edge"}
    for prop in check.properties:  # about gradients alone, the general hints say all there is
        assert prop.hint or "gradient" in prop.rule, prop.rule
        assert set(prop.fits) <= set(GENERAL), prop.rule


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_component_that_is_not_written_fails_and_says_so(check):
    def stub(*args, **kwargs):
        raise NotImplementedError

    verdict = run(check, observe_here(stub), seed=0)
    assert not verdict.core_passed
    assert "not written yet" in verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_what_is_asked_stays_as_it_was_drawn_whatever_an_answer_does_with_it(check):
    asked = []

    def listens(calls):
        asked.extend(calls)
        return observe_here(None)(calls)

    listens.sets_no_limits = True
    run(check, listens, seed=7)
    before = pickle.dumps(asked)
    for bug in bugs_of(check.name):
        observe_here(bug.implementation)(asked)
    assert pickle.dumps(asked) == before


@pytest.mark.slow
def test_most_bugs_written_differently_get_the_right_name():
    right = [verdict_on(form, 0).diagnosis == BUGS[form.bug].title for form in all_second_forms()]
    assert sum(right) / len(right) >= 0.85, f"{sum(right)} of {len(right)}"


def test_nothing_of_a_new_component_is_left_to_write():
    assert not (left := left_to_write(ROOT)), "\n".join(["still to be written:", *left])


def test_the_zoo_is_large_enough_and_has_something_of_every_component():
    assert len(all_bugs()) >= 200
    assert len(all_variants()) >= 80
    for check in CHECKS:
        assert len(bugs_of(check.name)) >= 2, check.name
        assert len(variants_of(check.name)) >= 2, check.name
