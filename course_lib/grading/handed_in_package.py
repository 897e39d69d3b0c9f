"""Lesson 12: a package that lies beside the notebook, judged by what it does.

It runs in the sandbox without a line of our transformer. What it has not written is missing there
and earns nothing; a model that is not right is stood in for in the checks after it, so that nobody
loses points twice.
"""

from collections.abc import Callable, Mapping

from ..checks.capstone import STOOD_IN, find_package_check
from ..checks.capstone.parts import first_broken_part
from ..lessons.exercises import PackageCheck
from ..lessons.package_text import as_job, borrowed_parts, defined_parts
from .results import judge_one, printable, zero

SECONDS = {"trains": 60.0}  # the other checks have the sandbox's own limit


def judge_package(
    checks: list[PackageCheck], grading: Mapping, observe: Callable, seed: int, sandbox: str
) -> list[dict]:
    """The results of a package's checks, in the lesson's order."""
    if not checks:
        return []
    package = grading["package"]
    reason = grading["reason"] and f"the notebook could not be read: {grading['reason']}"
    if reason or package["reason"]:
        return [zero(check, reason or package["reason"]) for check in checks]
    borrowed = borrowed_parts(package["modules"])
    if len(borrowed) == len(borrowed_parts({})):
        return [zero(check, "nothing of the package is written yet") for check in checks]
    results, has_model = [], True
    for check in checks:
        result = _judge(check, package["modules"], has_model, observe, seed)
        if check.component == "computes" and result["points"] < result["max_points"]:
            has_model = False
        results.append(result | {"sandbox": sandbox})
    if borrowed:
        note = f"still borrowed, and worth nothing here: {', '.join(borrowed)}"
        results[0]["message"] = printable(f"{results[0]['message']}\n  note: {note}")
    return results


def _judge(check: PackageCheck, modules: Mapping, has_model: bool, observe, seed: int) -> dict:
    """One check; where it fails, with the part that is to blame, if a part's own check knows."""
    statuses = []

    def observed(job):
        reply = observe(job)
        statuses.append(reply.get("status"))
        return reply

    job = {
        "component": check.component,
        "package": as_job(modules, has_model=has_model),
        "limits": {},
    }
    if check.component in SECONDS:
        job["limits"] = {"wall_seconds": SECONDS[check.component]}
    result = judge_one(check, find_package_check(check.component), job, observed, seed)
    if not has_model:
        result["message"] += f"\n  note: {STOOD_IN}"
    if result["points"] == result["max_points"] or statuses[-1:] != ["done"]:
        return result

    def observe_part(module, name):
        return lambda calls: observed({**job, "part": [module, name], "calls": calls, "limits": {}})

    defined = defined_parts(modules)
    broken = first_broken_part(check.component, defined, observe_part, seed=seed)
    if broken:
        result["message"] = printable(f"{result['message']}\n  {broken.text}")
        result["diagnosis"] = printable(broken.diagnosis)
    return result
