"""The result of one check of one submission: points, a diagnosis, and what the student reads."""

import math
import time
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ..checks import ComponentCheck, Verdict, run
from ..checks.judges.findings import Finding, render
from ..checks.local import success_text
from ..lessons.exercises import Exercise, PackageCheck
from ..lines import LONGEST_LINE, wrapped
from . import NotGraded
from .apart import observe_apart
from .words import note_beside, without_words

MAX_MESSAGE = 8_000
NOT_RUN = "not run"


def judge_check(
    exercise: Exercise | PackageCheck,
    check: ComponentCheck,
    job: dict,
    observe,
    seed: int,
    *,
    beside_ours: Collection[str] = (),
) -> dict:
    """The result of one check of one submission.

    Args:
        observe: runs a job where it can do no harm.
        beside_ours: the parts of ours that it can read, whose text it must not hand out.

    Raises:
        NotGraded: this machine is short of something that judging takes.
    """
    name, started = exercise.component, time.perf_counter()
    observers_own, replies = [], []

    def observed(calls):
        try:
            replies.append(observe_apart(observe, {**job, "calls": calls}))
        except Exception as error:
            observers_own.append(error)
            raise
        return replies[-1]

    try:
        with np.errstate(all="ignore"):  # what came back may hold anything
            verdict = run(check, observed, seed=seed)
            if beside_ours and not verdict.passed:
                verdict = _told_without_words(check, verdict, replies, seed)
                message = f"{verdict.message}\n{note_beside(beside_ours)}"
                verdict = replace(verdict, message=message)
    except Exception as error:
        if observers_own:  # no sandbox, or an interrupt: not the submission's doing
            raise
        if _is_want(error):
            raise NotGraded(f"judging failed ({type(error).__name__}: {error})") from error
        # The judge stumbled over what no honest observation holds: nobody else may suffer for it.
        result = zero(exercise, "what came back could not be judged")
    else:
        points = _between(verdict.points(exercise.points), exercise.points)
        result = {
            "component": name,
            "passed": verdict.passed,
            "points": points,
            "max_points": float(exercise.points),
            "diagnosis": printable(" ".join(verdict.diagnosis.split())),
            "library": verdict.library,
            "message": success_text(verdict)
            if verdict.passed
            else f"{verdict.message}\n  {points:g} of {exercise.points:g} points; "
            f"to repeat it: {_call(exercise, seed)}",
        }
    return result | {"seconds": round(time.perf_counter() - started, 3)}


def _told_without_words(check, verdict: Verdict, replies: list, seed: int) -> Verdict:
    """The verdict as it stands, told in no word of the submission's own.

    Without them some values cannot be compared any more. Where that would make another rule break,
    or another name fit, the rule and the names that were found are told alone: they are ours.
    """
    again = iter(replies)
    told = run(check, lambda calls: without_words(next(again, {})), seed=seed)
    is_same = (told.broken, told.names) == (verdict.broken, verdict.names)
    if is_same or not {prop.rule for prop in check.properties}.issuperset(verdict.broken):
        return replace(verdict, message=told.message, diagnosis=told.diagnosis)
    rule, names = verdict.broken[0], verdict.names
    message = render(check.name, rule, Finding("this rule does not hold"), "", list(names), "")
    return replace(verdict, message=message, diagnosis=" / ".join(names) or rule)


_WANTS = ("not enough memory", "can't start new thread")  # torch's words, and Python's


def _is_want(error: Exception) -> bool:
    """Whether the machine lacks something, which says nothing about a submission."""
    if isinstance(error, RuntimeError):
        return any(want in str(error) for want in _WANTS)
    return isinstance(error, (MemoryError, OSError, SystemError))


def zero(exercise: Exercise | PackageCheck, problem: str) -> dict:
    """The result of a component that was not run, and why."""
    said = "\n".join(wrapped(f"{exercise.component}: {problem}", LONGEST_LINE, rest="  "))
    return {
        "component": exercise.component,
        "passed": False,
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
    text = "".join(c if c == "\n" or c.isprintable() else " " for c in text[: MAX_MESSAGE + 1])
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _call(exercise: Exercise | PackageCheck, seed: int) -> str:
    """What a learner types to meet the same inputs."""
    is_whole = isinstance(exercise, PackageCheck)
    name = f'"{exercise.component}"' if is_whole else exercise.component
    return f"check({name}, seed={seed})"
