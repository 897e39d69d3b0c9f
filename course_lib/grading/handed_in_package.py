"""Lesson 12: a package that lies beside the notebook, judged by what it does.

It runs in the sandbox without a line of our transformer. What it has not written is missing there
and earns nothing; a model that is not right is stood in for in the checks after it, so that nobody
loses points twice.
"""

from collections.abc import Callable, Mapping

from ..checks.capstone import STOOD_IN, find_package_check
from ..checks.capstone.parts import first_broken_part
from ..lessons.exercises import PackageCheck
from ..lessons.package_text import as_job, missing_parts
from .aside import ASIDE, TooDear
from .budget import Budget
from .results import judge_check, printable, zero

SECONDS = {"trains": 60.0}  # the other checks have the sandbox's own limit
SECONDS_TO_READ = 10  # of processor time, for the text of all modules; ours take a thirtieth of one


def judge_package(
    checks: list[PackageCheck], grading: Mapping, budget: Budget, seed: int, sandbox: str
) -> list[dict]:
    """The results of a package's checks, in the lesson's order.

    Raises:
        NotGraded: the package could not be read or run, and that is not its own doing.
    """
    if not checks:
        return []
    package = grading["package"]
    reason = grading["reason"] and f"the notebook could not be read: {grading['reason']}"
    if reason or package["reason"]:
        return [zero(check, reason or package["reason"]) for check in checks]
    modules = package["modules"]
    try:
        defined = ASIDE.ask("defined parts", modules, seconds=SECONDS_TO_READ)
    except TooDear as error:
        return [zero(check, f"the package cannot be read: {error}") for check in checks]
    borrowed = missing_parts(defined)
    if len(borrowed) == len(missing_parts({})):
        return [zero(check, "nothing of the package is written yet") for check in checks]
    judged, has_model = [], True
    for check in checks:
        job, statuses = _job(check, modules, has_model), []
        result = judge_check(
            check, find_package_check(check.component), job, _noting(budget, statuses), seed
        )
        if not has_model:
            result["message"] += f"\n  note: {STOOD_IN}"
        if check.component == "computes" and not result["passed"]:
            has_model = False
        judged.append((result | {"sandbox": sandbox}, job, statuses[-1:] == ["done"]))
    for result, job, has_run in judged:  # afterwards: what it takes shall cost no points
        if has_run and not result["passed"]:
            _blame(result, job, defined, budget, seed)
    results = [result for result, _, _ in judged]
    if borrowed:
        note = f"still borrowed, and worth nothing here: {', '.join(borrowed)}"
        results[0]["message"] = printable(f"{results[0]['message']}\n  note: {note}")
    return results


def _job(check: PackageCheck, modules: Mapping, has_model: bool) -> dict:
    seconds = SECONDS.get(check.component)
    return {
        "component": check.component,
        "package": as_job(modules, has_model=has_model),
        "limits": {"wall_seconds": seconds} if seconds else {},
    }


def _noting(budget: Budget, statuses: list) -> Callable[[dict], Mapping]:
    """An observer that writes down how each job ended."""

    def observed(job):
        reply = budget.observe(job)
        statuses.append(reply.get("status"))
        return reply

    return observed


def _blame(result: dict, job: dict, defined: Mapping, budget: Budget, seed: int) -> None:
    """Say in the result which part is to blame, if a part's own check knows, and in time."""

    def observe_part(module, name):
        def observed(calls):
            if budget.is_used_up:
                raise _OutOfBudget
            return budget.observe({**job, "part": [module, name], "calls": calls, "limits": {}})

        return observed

    try:
        broken = first_broken_part(result["component"], defined, observe_part, seed=seed)
    except _OutOfBudget:
        return
    if broken:
        result["message"] = printable(f"{result['message']}\n  {broken.text}")
        result["diagnosis"] = printable(broken.diagnosis)


class _OutOfBudget(Exception):
    """The submission's time is used up, and no part is to blame for that."""
