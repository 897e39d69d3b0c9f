"""What components of plain Python return becomes JSON of bounded size, compared exactly."""

import pytest

from course_lib.checks import find
from course_lib.checks.cases.plain import asks, function_case, reads, script_case
from course_lib.checks.judges.plain import returns_value
from course_lib.checks.judges.seen import Seen
from course_lib.checks.observe.observing import observe_call
from course_lib.checks.observe.probes.plain import MAX_ITEMS, as_json, from_json
from course_lib.checks.observe.wall import wire


def endless():
    held = []
    held.append(held)
    return held


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (lambda: iter([1]), "list_iterator"),
        (lambda: [0] * (MAX_ITEMS + 1), "too long"),
        (lambda: [[0] * 200] * 200, "too long"),
        (endless, "too deep"),
        (lambda: 10**5000, "bits"),
        (lambda: "a" * 10**6, "too long"),
        (lambda: "half of \ud83d", "not UTF-8"),
        (lambda: {1: 2}, "dict"),
    ],
)
def test_what_is_not_plain_or_too_big_is_described_and_can_travel(value, described):
    seen = observe_call(lambda ids: value(), _call([1]))
    assert described in repr(seen["value"])
    crossed = wire.unpack(wire.pack(seen), max_bytes=10**6)
    finding = returns_value([1])(Seen(crossed))
    assert finding
    assert len(finding.got) < 400


def test_tuples_and_lists_come_back_as_they_were():
    value = [(1, 2), [3, ("a", None)], True, 1.5]
    assert from_json(as_json(value)) == value
    assert returns_value(value)(Seen({"value": as_json(value)})) is None


@pytest.mark.parametrize("other", [[1, True], [1, 1.0], (1, 1), [1], [1, 1, 1], "11", None])
def test_values_of_another_type_or_length_are_not_equal(other):
    assert returns_value([1, 1])(Seen({"value": as_json(other)}))


def test_equal_numbers_are_different_objects():
    seen = observe_call(lambda ids, one: ids[0] is one, _call([1000], 1000))
    assert seen["value"] is False


def test_an_error_in_a_step_leaves_the_others_standing():
    class Half:
        vocab_size = 3

        def __init__(self, text):
            pass

        def encode(self, text):
            raise KeyError(text)

    case = script_case(
        find("CharTokenizer"),
        ("abc",),
        asks("encode", "a", judge=lambda step: None if step.error["type"] == "KeyError" else 1),
        asks(
            "decode", [1], judge=lambda step: None if step.error["type"] == "AttributeError" else 1
        ),
        reads("vocab_size", returns_value(3)),
    )
    assert case.judge(Seen(observe_call(Half, case.call))) is None


def _call(*args):
    return function_case(find("merge_pair"), *args).call
