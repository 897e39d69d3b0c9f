"""Every check, one test each, on a package of components: ours, or `--package my_transformer`."""

import importlib

import pytest

from course_lib.checks import all_checks, observe_here, run


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: f"{check.lesson}-{check.name}")
def test_component(check, package, device):
    module = importlib.import_module(f"{package}.{check.module}")
    component = getattr(module, check.name)
    verdict = run(check, observe_here(component), seed=0, device=device)
    if not verdict.passed:
        pytest.fail(verdict.message, pytrace=False)
