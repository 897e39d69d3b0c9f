"""Whole packages, observed in this process as the grader's sandbox observes them."""

import ast
import inspect
import re

from right_variants import all_variants

from course_lib.bugs import Bug
from course_lib.checks import run
from course_lib.checks.observe.load.package import LearnersPackage
from course_lib.checks.observe.observing import observe_call
from course_lib.grading.sample_class import bug_answer, one_cell, package_with
from course_lib.lessons.package_text import PARTS, as_job


def observer(package: dict[str, str], *, has_model: bool = True):
    """An observer for `run` in this process."""

    def observe_calls(calls):
        with LearnersPackage(**as_job(package, has_model=has_model)) as subject:
            return {"observations": [observe_call(subject, call) for call in calls], "message": ""}

    return observe_calls


def verdict_on(check, package, *, seed=0, has_model=True):
    """How a package does in one of the capstone's checks."""
    return run(check, observer(package, has_model=has_model), seed=seed)


def with_bug(bug: Bug) -> dict[str, str]:
    """Our package with one part that has a bug."""
    return package_with({bug.component: bug_answer(bug)})


def of_variants(number: int) -> dict[str, str]:
    """Our package with every part that has variants replaced by one of them."""
    parts = {name for names in PARTS.values() for name in names}
    chosen = {}
    for variant in all_variants():
        if variant.component in parts:
            chosen.setdefault(variant.component, []).append(variant)
    return package_with(
        {name: variant_answer(found[number % len(found)]) for name, found in chosen.items()}
    )


def variant_answer(variant) -> str:
    """A variant as somebody would hand it in: under the component's name, in one cell."""
    definition = ast.parse(inspect.getsource(variant.implementation)).body[0]
    del definition.decorator_list[0]  # `@variant(…)`
    source = re.sub(rf"\b{variant.name}\b", variant.component, ast.unparse(definition))
    return one_cell(source, inspect.getmodule(variant.implementation))
