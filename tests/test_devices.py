"""Tensors made on the wrong device are told on a machine that has only one."""

import pytest
import torch

from course_lib.checks.observe.watches.devices import DeviceWatch


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.arange(3, device=x.device),
        lambda x: torch.arange(3).to(x.device),
        lambda x: torch.arange(3).float().to(x),
        lambda x: torch.arange(3).to(x.device) / 3,
        lambda x: torch.ones(3).type_as(x),
        lambda x: x.new_ones(3),
    ],
)
def test_what_is_made_or_moved_to_where_the_inputs_are_may_meet_them(make):
    x = torch.randn(3)
    with DeviceWatch() as watch:
        result = make(x) * x
    assert not watch.mixed
    assert not watch.is_unplaced(result)


def moved_in_vain(x):
    places = torch.arange(3)
    places.to(x.device)  # what it returns is thrown away
    return places


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.arange(3),
        lambda x: torch.ones(3).to(x.dtype),
        lambda x: torch.eye(3),
        moved_in_vain,
    ],
)
def test_what_is_made_without_a_device_may_not(make):
    x = torch.randn(3)
    with DeviceWatch() as watch:
        make(x) * x
    assert watch.mixed
