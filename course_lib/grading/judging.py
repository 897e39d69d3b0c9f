"""One rebuilt notebook in, one result for each of its components out.

The answers are observed in a sandbox; this process judges what came back and loads not a line
of them.
"""

import hashlib
import math
import secrets
import textwrap
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from ..checks import all_checks, find, run
from ..checks.local import success_text
from ..lessons.exercises import Exercise, read_exercises
from ..lessons.source import component_source, module_source, to_learner

MAX_MESSAGE = 8_000
NOT_RUN = "not run"


@cache
def checks_version() -> str:
    """A short hash of the code a verdict depends on: checks, zoo, model and this module."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    package = Path(__file__).parents[1]
    for folder in (package / "checks", package / "bugs", package / "transformer"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def fresh_seed() -> int:
    """A seed that nobody could know before the submissions were in."""
    return secrets.randbelow(2**31)


def judge(
    notebook: Mapping, observe: Callable[[dict], Mapping], *, seed: int, sandbox: str
) -> list[dict]:
    """The result of every component of a rebuilt notebook, in the lesson's order.

    Inside a lesson a component that failed is replaced by ours for those after it, so that
    nobody loses points twice.

    Args:
        observe: runs one job where it can do no harm, such as `Sandbox.observe`.
        sandbox: how it does so, for the record.
    """
    grading = notebook["metadata"]["course"]["grading"]
    exercises = read_exercises(notebook)
    answers = {
        cell["metadata"]["course"]["component"]: cell["source"]
        for cell in notebook["cells"]
        if cell["metadata"].get("course", {}).get("role") == "answer"
    }
    results, earlier = [], []
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
            result = _judge_one(exercise, job, observe, seed) | {"sandbox": sandbox}
        told = [result["message"], grading["notes"].get(name, "")]
        if not results:
            told.append(grading["note"])
        result["message"] = printable("\n  note: ".join(text for text in told if text))
        results.append(result)
        passed = result["points"] == result["max_points"]
        earlier.append(answers[name] if passed else our_source(exercise))
    return results


def _judge_one(exercise: Exercise, job: dict, observe, seed: int) -> dict:
    name, started = exercise.component, time.perf_counter()
    component_check = find(name)
    observers_own = []

    def observed(calls):
        try:
            return observe({**job, "calls": calls})
        except Exception as error:
            observers_own.append(error)
            raise

    try:
        with np.errstate(all="ignore"):  # what came back may hold anything
            verdict = run(component_check, observed, seed=seed)
    except Exception:
        if observers_own:  # no sandbox, or an interrupt: not the submission's doing
            raise
        # The judge stumbled over what no honest observation holds: nobody else may suffer for it.
        result = zero(exercise, "what came back could not be judged")
    else:
        points = _between(verdict.points(exercise.points), exercise.points)
        result = {
            "component": name,
            "points": points,
            "max_points": float(exercise.points),
            "diagnosis": printable(" ".join(verdict.diagnosis.split())),
            "message": success_text(verdict)
            if verdict.passed
            else f"{verdict.message}\n  {points:g} of {exercise.points:g} points; "
            f"to repeat it: check({name}, seed={seed})",
        }
    return result | {"seconds": round(time.perf_counter() - started, 3)}


def zero(exercise: Exercise, problem: str) -> dict:
    """The result of a component that was not run, and why."""
    said = textwrap.fill(f"{exercise.component}: {problem}", 83, subsequent_indent="  ")
    return {
        "component": exercise.component,
        "points": 0.0,
        "max_points": float(exercise.points),
        "diagnosis": problem,
        "message": f"{said}\n  0 of {exercise.points:g} points",
        "sandbox": NOT_RUN,
        "seconds": 0.0,
    }


def _between(points: float, most: float) -> float:
    """A score that nbgrader records as it is: it takes nan for full marks."""
    return min(max(points, 0.0), float(most)) if math.isfinite(points) else 0.0


def printable(text: str) -> str:
    """`text` without what upsets a terminal, a web page or a table, and not too long."""
    text = "".join(c if c == "\n" or c.isprintable() else " " for c in text)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


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
