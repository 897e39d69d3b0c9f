"""The three gates: stubs fail, right answers pass, every bug is caught, and named if known."""

import importlib
from pathlib import Path

import pytest
from bugs_written_differently import all_second_forms
from right_variants import all_variants, variants_of
from wrong_answers import all_wrong_answers

from course_lib.bugs import ChangeError, all_bugs, bugs_of
from course_lib.checks import all_checks, find, observe_here, run
from course_lib.checks.verdict.hints import GENERAL
from course_lib.lessons.skeletons.to_write import left_to_write

# Modules whose gates have been seen to hold under all twenty seeds, and do not take long:
# `make test-all` repeats them. Of the others one seed is in `make test`, the rest in
# `make test-seeds`, which takes an hour. What has passed there can be added here.
SETTLED = ("warmup", "tokens", "attention", "masking", "multihead", "norm")


def under_seeds(argument, cases, name, component=lambda case: case.component):
    """Each case twice: under one seed or two, and under the rest of twenty in a longer command."""
    params = []
    for case in cases:
        is_settled = find(component(case)).module in SETTLED
        first = 2 if is_settled else 1
        longer = pytest.mark.slow if is_settled else pytest.mark.seeds
        params.append(pytest.param(case, range(first), id=f"{name(case)}-first"))
        params.append(pytest.param(case, range(first, 20), id=f"{name(case)}-more", marks=longer))
    return pytest.mark.parametrize(f"{argument}, seeds", params)


ROOT = Path(__file__).resolve().parent.parent
CHECKS = all_checks()
BUGS = {bug.name: bug for bug in all_bugs()}


def named(case):
    return case.implementation.__name__


def verdict_on(component, implementation, seed=0):
    try:
        return run(find(component), observe_here(implementation), seed=seed)
    except (ChangeError, NotImplementedError) as missing:  # of a bug, of an oracle
        pytest.fail(f"{component}: {missing}", pytrace=False)


def implementation_of(bug):
    try:
        return bug.implementation
    except ChangeError as misfit:
        pytest.fail(str(misfit), pytrace=False)


def ours(check):
    return getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)


@under_seeds("check", CHECKS, lambda check: check.name, lambda check: check.name)
def test_our_component_passes_under_every_seed(check, seeds):
    for seed in seeds:
        verdict = verdict_on(check.name, ours(check), seed)
        assert verdict.passed, verdict.message


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

    verdict = verdict_on(check.name, stub)
    assert not verdict.core_passed
    assert "not written yet" in verdict.message


@under_seeds("variant", all_variants(), lambda variant: variant.name)
def test_a_right_variant_passes_under_every_seed(variant, seeds):
    for seed in seeds:
        verdict = verdict_on(variant.component, variant.implementation, seed)
        assert verdict.passed, verdict.message


@under_seeds("bug", all_bugs(), lambda bug: bug.name)
def test_a_bug_is_caught_and_named_under_every_seed(bug, seeds):
    for seed in seeds:
        verdict = verdict_on(bug.component, implementation_of(bug), seed)
        assert not verdict.passed, f"not caught with seed {seed}"
        assert verdict.diagnosis == bug.title, f"seed {seed}: {verdict.message}"
        assert bug.title in " ".join(verdict.message.split())
        first, *others = verdict.message.splitlines()  # nbgrader cuts longer lines
        assert len(first) <= 67
        assert all(len(line) <= 83 for line in others)


@under_seeds("form", all_second_forms(), named, lambda form: BUGS[form.bug].component)
def test_a_bug_written_differently_is_caught_and_never_misnamed(form, seeds):
    bug = BUGS[form.bug]
    names = set()
    for seed in seeds:
        verdict = verdict_on(bug.component, form.implementation, seed)
        assert not verdict.passed, f"not caught with seed {seed}"
        names.add(verdict.diagnosis if "agrees with" in verdict.message else "no name")
    assert names in ({bug.title}, {"no name"})


@pytest.mark.slow
def test_most_bugs_written_differently_get_the_right_name():
    right = [
        verdict_on(BUGS[form.bug].component, form.implementation).diagnosis == BUGS[form.bug].title
        for form in all_second_forms()
    ]
    assert sum(right) / len(right) >= 0.85, f"{sum(right)} of {len(right)}"


@under_seeds("answer", all_wrong_answers(), named)
def test_a_wrong_answer_that_nobody_listed_fails_without_a_name(answer, seeds):
    for seed in seeds:
        verdict = verdict_on(answer.component, answer.implementation, seed)
        assert not verdict.passed, f"not caught with seed {seed}"
        assert "agrees with" not in verdict.message, verdict.message


def test_nothing_of_a_new_component_is_left_to_write():
    assert not (left := left_to_write(ROOT)), "\n".join(["still to be written:", *left])


def test_the_zoo_is_large_enough_and_has_something_of_every_component():
    assert len(all_bugs()) >= 200
    assert len(all_variants()) >= 80
    for check in CHECKS:
        assert len(bugs_of(check.name)) >= 2, check.name
        assert len(variants_of(check.name)) >= 2, check.name
