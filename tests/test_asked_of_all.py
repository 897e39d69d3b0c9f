"""What is asked of all components: each is asked, or a list says why it need not be."""

import inspect

import pytest
import torch

from course_lib.bugs import find_bug
from course_lib.checks import all_checks, find, observe_here, run
from course_lib.checks.cases.asked_of_all import KINDS
from course_lib.checks.cases.asked_of_all.first_calls import FirstCalls
from course_lib.checks.cases.draw import Draw
from course_lib.checks.judges.seen import Seen
from course_lib.checks.observe.given.careless import BARRED, OVERLAPPING, Careless
from course_lib.checks.observe.given.layouts import BACKWARDS, LAYOUTS, lay_out, lay_out_array

CHECKS = {check.name: check for check in all_checks()}
OF_EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)


def calls_of(check, kind: str) -> list[dict]:
    props = [prop for prop in check.properties if prop.kind == kind]
    return [case.call for prop in props for case in prop.cases(Draw(0))]


@OF_EACH_KIND
def test_every_component_is_asked_or_listed_with_a_reason(kind):
    assert set(kind.NOT_ASKED) <= set(CHECKS)
    assert all(len(reason) > 10 for reason in kind.NOT_ASKED.values())
    for name, check in CHECKS.items():
        calls = calls_of(check, kind.KIND)
        if name in kind.NOT_ASKED:
            assert not calls, f"{name} is asked, and listed as if it were not"
        else:
            assert calls, f"{name} is not asked about {kind.KIND}, and no reason is given"


def ours(check):
    module = __import__(f"course_lib.transformer.{check.module}", fromlist=[check.name])
    return getattr(module, check.name)


@OF_EACH_KIND
def test_a_reason_is_still_needed(kind):
    """Asked all the same, there is nothing to see of it, or our own cannot hold what is asked."""
    for name in kind.NOT_ASKED:
        check = CHECKS[name]
        asked = [
            case for prop in kind.properties(FirstCalls(check)) for case in prop.cases(Draw(0))
        ]
        calls = [case.call | {"device": "cpu"} for case in asked]
        seen = observe_here(ours(check))(calls)["observations"]
        holds = all(case.judge(Seen(one)) is None for case, one in zip(asked, seen, strict=True))
        assert not holds or not any(map(gives_something, seen)), name


def gives_something(observation) -> bool:
    """Did a tensor, an array or a list come back? What is left of a model did not."""
    if isinstance(observation.get("value"), dict):
        return False
    outputs, steps = observation.get("outputs", ()), observation.get("steps", ())
    is_seen = any(output["kind"] in ("tensor", "array") for output in outputs)
    return is_seen or any(map(gives_something, steps))


NUMBERS = torch.arange(30.0).reshape(1, 5, 6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_moves_numbers_in_memory_and_changes_none(layout):
    for numbers in (NUMBERS, NUMBERS[:, :1].expand(3, 5, 6).clone(), torch.tensor(3.0)):
        assert torch.equal(lay_out(numbers.clone(), layout), numbers)
        assert (lay_out_array(numbers.numpy().copy(), layout) == numbers.numpy()).all()


def test_layouts_are_those_that_a_view_stumbles_over():
    rows = torch.ones(3, 5, 1, 6).cumsum(0)
    laid = {name: lay_out(rows.clone(), name) for name in LAYOUTS}
    assert not laid["transposed in memory, as x.mT is"].is_contiguous()
    assert laid["sliced from a larger one"].storage_offset() > 0
    assert laid["every second of a larger one"].stride()[-1] == 2
    assert laid["with odd strides at axes of size 1"].stride()[2] == 7
    assert lay_out(torch.ones(3, 5), "expanded from one row").stride()[0] == 0
    assert lay_out_array(rows.numpy(), BACKWARDS).strides[0] < 0


def two_views_of_one(x):
    both = torch.cat([x, x])
    return both[:-1], both[1:]


def test_a_careless_caller_sees_what_is_shared():
    kept = torch.zeros(3)
    for function, found in (
        (lambda x: x + 1, []),
        (lambda x: x[1:], ["an argument changed with the result"]),
        (lambda x: kept.copy_(x), ["a result changed when another one was made"]),
        (lambda x: x.sum().expand(3), [OVERLAPPING]),
        (lambda x: torch.cat([x, x]).unfold(0, 3, 1), [OVERLAPPING]),
        (lambda x: x.repeat(2).view(2, 3)[:, :2].unbind(0), []),
        (lambda x: (x.clone().unfold(0, 2, 1)[0], x + 1), []),
        (two_views_of_one, ["one part of a result changed with another"]),
        (torch.inference_mode()(lambda x: x + 1), [BARRED]),
        (lambda x: x, ["an argument changed with the result"]),  # though there was nothing to do
    ):
        careless = Careless(function)
        for n in range(3):
            careless(torch.tensor([1.0, 2.0, 3.0]) + n)
        careless.leave()
        assert careless.found == found


def test_a_bug_is_told_by_its_name_though_a_second_mistake_shows_in_all_layouts():
    def softmax_over_queries(q, k, v):
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        weights = scores.softmax(dim=-2)
        return weights @ v.view(-1, v.shape[-1]).view(v.shape), weights

    verdict = run(find("attention"), observe_here(softmax_over_queries), seed=0)
    assert verdict.names == (find_bug("softmax_over_the_queries").title,)


AT_LEAST_1 = "a size, or a count of parts: at least 1"
NEVER_ZERO = {
    ("evaluate", "batch_size"): AT_LEAST_1,
    ("train_step", "n_chunks"): AT_LEAST_1,
    ("kv_cache_bytes", "batch_size"): AT_LEAST_1,
    ("train_bpe", "first_new_id"): "an id of 0 or more would be as large: ValueError",
    ("rotate", "base"): "a power of 0 is 0 or infinite: no angle",
}


def optional_numbers(component) -> dict[str, int]:
    """Where the arguments stand that may be left out, and are a number then that is not 0."""
    parameters = inspect.signature(component).parameters.values()
    return {
        one.name: place
        for place, one in enumerate(parameters)
        if isinstance(one.default, (int, float)) and one.default
        if not isinstance(one.default, bool)
    }


def numbers_given(call: dict, name: str, place: int) -> list:
    """What a call gives for an argument, in whichever of its places."""
    named = [call.get("kwargs", {}), call.get("init_kwargs", {})]
    named += [batch["kwargs"] for batch in call.get("batches", ())]
    args = call.get("args", []) if "init" not in call else call["init"]
    given = [options[name] for options in named if name in options]
    return [*given, *args[place : place + 1]]


def test_every_optional_number_is_given_as_zero_too_or_cannot_be():
    """`eps or 1e-5` takes a zero for a number that was not given."""
    asked = {
        (name, argument): place
        for name, check in CHECKS.items()
        for argument, place in optional_numbers(ours(check)).items()
    }
    assert set(NEVER_ZERO) < set(asked)
    for (name, argument), place in asked.items():
        calls = (case.call for prop in CHECKS[name].properties for case in prop.cases(Draw(0)))
        numbers = (one for call in calls for one in numbers_given(call, argument, place))
        is_given = any(isinstance(one, (int, float)) and one == 0 for one in numbers)
        assert is_given is ((name, argument) not in NEVER_ZERO), f"{argument} of {name}"
