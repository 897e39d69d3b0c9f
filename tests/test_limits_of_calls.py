"""Calls that may take less than others are made in class; right answers stay below the limit."""

import inspect
from importlib import import_module

import pytest
from attacks import Attack
from attacks.form import our_answer, result_of
from right_variants import variants_of
from whole_packages import variant_answer

from course_lib.checks import all_checks, find, observe_here, run
from course_lib.checks.observe.wall import wire
from course_lib.grading.apart import observe_apart
from course_lib.grading.received import Limits
from course_lib.grading.sandbox import Sandbox

LIMITED = ("blockwise_attention", "generate_cached")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as box:
        yield box


@pytest.mark.parametrize("component", LIMITED)
def test_our_answer_stays_below_the_limits(sandbox, component):
    result = result_of(Attack("ours", 0, component, our_answer(component)), sandbox.observe)
    assert result["passed"], result["message"]
    assert result["seconds"] < 30


@pytest.mark.parametrize(
    "variant",
    [variant for component in LIMITED for variant in variants_of(component)],
    ids=lambda variant: f"{variant.component}-{variant.implementation.__name__}",
)
def test_right_variants_stay_below_the_limits(sandbox, variant):
    answer = variant_answer(variant)
    result = result_of(Attack("a variant", 0, variant.component, answer), sandbox.observe)
    assert result["passed"], result["message"]


@pytest.mark.parametrize("component", LIMITED)
def test_at_the_desk_calls_with_limits_are_not_made(component):
    made = []

    def observer(calls):
        made.extend(calls)
        return {"observations": [], "message": "none"}

    run(find(component), observer, seed=0)
    assert any("limits" in call for call in made)
    made.clear()
    observer.sets_no_limits = observe_here(inspect).sets_no_limits
    run(find(component), observer, seed=0)
    assert made
    assert not any("limits" in call for call in made)


def test_every_observation_is_at_its_place():
    calls = [{"n": 0}, {"n": 1, "limits": {"memory_bytes": 5}}, {"n": 2}, {"n": 3, "limits": {}}]
    limits = []

    def observe(job):
        limits.append(job["limits"])
        if job["calls"][0]["n"] == 3:
            return {"status": "timeout", "message": "too slow", "observations": []}
        return {"status": "done", "message": "", "observations": [dict(c) for c in job["calls"]]}

    reply = observe_apart(observe, {"calls": calls, "limits": {"wall_seconds": 9}})
    assert [seen.get("n") for seen in reply["observations"]] == [0, 1, 2, None]
    assert reply["observations"][3]["error"]["message"] == "too slow"
    assert limits[1] == {"wall_seconds": 9, "memory_bytes": 5}


@pytest.mark.slow
@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_what_a_right_answer_has_to_say_is_far_below_the_limit(check):
    """Sizes are drawn, so a reply is sometimes twice as long as usual."""
    for seed in range(3):
        here = observe_here(find_ours(check))
        lengths = []

        def observer(calls, here=here, lengths=lengths):
            seen = here(calls)
            lengths += [len(wire.pack({"observation": one})) for one in seen["observations"]]
            return seen

        run(check, observer, seed=seed)
        assert sum(lengths) < Limits().reply_bytes / 2


def find_ours(check):
    return getattr(import_module(f"course_lib.transformer.{check.module}"), check.name)
