"""One rebuilt notebook in, one result for each of its components out.

The answers are observed in a sandbox; this process judges what came back and loads not a line
of them.
"""

import secrets
from collections.abc import Callable, Mapping
from functools import cache

from ..checks import all_checks, find
from ..lessons.exercises import Exercise, read_exercises, read_package_checks
from ..lessons.source import component_source, module_source, to_learner
from .budget import Budget
from .handed_in_package import judge_package
from .results import judge_check, printable, zero


def fresh_seed() -> int:
    """A seed that nobody could know before the submissions were in."""
    return secrets.randbelow(2**31)


def judge(
    notebook: Mapping, observe: Callable[[dict], Mapping], *, seed: int, sandbox: str
) -> list[dict]:
    """The result of every component of a rebuilt notebook, in the lesson's order.

    All its jobs together have the time of one `Budget`. Inside a lesson a component that failed is
    replaced by ours for those after it, so that nobody loses points twice.

    Args:
        observe: runs one job where it can do no harm, such as `Sandbox.observe`.
        sandbox: how it does so, for the record.

    Raises:
        NotGraded: something failed that is not the submission's doing.
    """
    grading = notebook["metadata"]["course"]["grading"]
    budget = Budget(observe)
    results = [
        *_judge_answers(notebook, grading, budget.observe, seed, sandbox),
        *judge_package(read_package_checks(notebook), grading, budget, seed, sandbox),
    ]
    if results:
        results[0]["message"] = _told(results[0]["message"], grading["note"])
    return results


def _judge_answers(notebook, grading, observe, seed: int, sandbox: str) -> list[dict]:
    """The results of the components that the notebook's cells define."""
    exercises = read_exercises(notebook)
    answers = {
        cell["metadata"]["course"]["component"]: cell["source"]
        for cell in notebook["cells"]
        if cell["metadata"].get("course", {}).get("role") == "answer"
    }
    results, earlier, ours = [], [], []
    for exercise in exercises:
        name = exercise.component
        if name in grading["problems"]:
            result = zero(exercise, grading["problems"][name])
        else:
            job = {
                "component": name,
                "modules": earlier_modules(exercise.module),
                "setup": list(exercise.setup),
                "earlier": list(earlier),
                "answer": answers[name],
                "limits": {},
            }
            result = judge_check(exercise, find(name), job, observe, seed, beside_ours=ours)
            result["sandbox"] = sandbox
        result["message"] = _told(result["message"], grading["notes"].get(name, ""))
        results.append(result)
        earlier.append(answers[name] if result["passed"] else our_source(exercise))
        ours += [] if result["passed"] else [name]
    return results


def _told(message: str, note: str) -> str:
    return printable(f"{message}\n  note: {note}" if note else message)


@cache
def earlier_modules(module: str) -> dict[str, str]:
    """The finished modules of the lessons before the one that teaches `module`, by name."""
    before = {}
    for check in all_checks():
        if check.module == module:
            break
        before.setdefault(check.module, to_learner(module_source(check.module)))
    return {"shapes": to_learner(module_source("shapes")), **before}


def our_source(exercise: Exercise) -> str:
    """Our own version of a component, as a learner would write it in the lesson."""
    return to_learner(component_source(exercise.module, exercise.component))
