"""What an attack is, and what it earns: its answer goes through the check, in the sandbox."""

from functools import cache

from grading_fixtures import pristine

from course_lib.checks import find
from course_lib.checks.capstone import PACKAGE_CHECKS
from course_lib.grading.judging import earlier_modules, our_source
from course_lib.grading.results import judge_check
from course_lib.grading.sample_class import package_with
from course_lib.lessons.exercises import PackageCheck, read_exercises
from course_lib.lessons.package_text import as_job

from . import Attack

PART = {"computes": "GPT", "caches": "generate_cached"}


@cache
def _exercise(component: str):
    """The exercise as a notebook states it, and those before it."""
    found = read_exercises(pristine(find(component).lesson))
    place = next(n for n, one in enumerate(found) if one.component == component)
    return found[place], found[:place]


def our_answer(component: str) -> str:
    """Our own answer, in the words of a learner."""
    return our_source(_exercise(component)[0])


def result_of(attack: Attack, observe, *, seed: int = 11) -> dict:
    """What a grading run says of it, as of any other answer; the exercise is worth one point.

    Args:
        observe: `Sandbox.observe`.
    """
    packages = {check.name: check for check in PACKAGE_CHECKS}
    if attack.component in packages:
        modules = package_with({PART[attack.component]: attack.source})
        package = as_job(modules, has_model=True)
        asked = PackageCheck("12_capstone", attack.component, 1.0)
        job = {"component": attack.component, "package": package, "limits": {}}
        return judge_check(asked, packages[attack.component], job, observe, seed)
    exercise, before = _exercise(attack.component)
    job = {
        "component": attack.component,
        "modules": earlier_modules(exercise.module),
        "setup": list(exercise.setup),
        "earlier": [our_source(one) for one in before],
        "answer": attack.source,
        "limits": {},
    }
    result = judge_check(exercise, find(attack.component), job, observe, seed)
    return result | {"points": round(result["points"] / result["max_points"], 4)}
