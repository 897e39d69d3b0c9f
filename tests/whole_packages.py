"""Whole packages as learners would hand them in: ours, one of variants, and ones with one bug."""

from course_lib.checks import find, run
from course_lib.checks.observe.package import LearnersPackage
from course_lib.checks.observe.probes import observe
from course_lib.grading.sample_class import bug_answer
from course_lib.lessons.package import as_job, our_package

OURS = our_package()


def with_parts(*parts) -> dict[str, str]:
    """Our package with other parts put underneath, as a workspace does it.

    Args:
        parts: bugs or variants: whatever has a component and an implementation.
    """
    package = dict(OURS)
    for part in parts:
        module = find(part.component).module
        package[module] += f"\n\n# %% {part.component}\n{bug_answer(part)}\n"
    return package


def observer(package: dict[str, str], *, has_model: bool = True):
    """An observer for `run` in this process."""

    def observe_calls(calls):
        with LearnersPackage(**as_job(package, has_model=has_model)) as subject:
            return {"observations": [observe(subject, call) for call in calls], "message": ""}

    return observe_calls


def verdict_on(check, package, *, seed=0, has_model=True):
    return run(check, observer(package, has_model=has_model), seed=seed)
