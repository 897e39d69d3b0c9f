"""Whole packages, observed in this process as the grader's sandbox observes them."""

from course_lib.checks import run
from course_lib.checks.observe.load.package import LearnersPackage
from course_lib.checks.observe.observing import observe_call
from course_lib.lessons.package_text import as_job


def observer(package: dict[str, str], *, has_model: bool = True):
    """An observer for `run` in this process."""

    def observe_calls(calls):
        with LearnersPackage(**as_job(package, has_model=has_model)) as subject:
            return {"observations": [observe_call(subject, call) for call in calls], "message": ""}

    return observe_calls


def verdict_on(check, package, *, seed=0, has_model=True):
    """How a package does in one of the capstone's checks."""
    return run(check, observer(package, has_model=has_model), seed=seed)
