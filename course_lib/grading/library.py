"""Answers that take from the library what they are to write: told to the teacher, who decides.

The setting is nbgrader's, so that `course grade` and `nbgrader autograde` go by the same one:

    c.JudgeInSandbox.library = "mark"        points stand; feedback and table say so
    c.JudgeInSandbox.library = "no points"   an answer that was seen to call it earns nothing

What an answer was seen to call costs points under "no points". What only stands in its text is a
mark under both: it may be there for a comparison (`checks/verdict/library.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..checks.verdict.library import finding, library_names_of, named_in
from ..lessons.exercises import Exercise
from ..lines import OTHER_LINES, wrapped
from . import GradingError
from .course import CONFIG, nbgrader_settings
from .results import printable, zero

MARK, NO_POINTS = SETTINGS = ("mark", "no points")


def library_setting(root: Path) -> str:
    """What the course's settings of nbgrader say; "mark" where they say nothing.

    Raises:
        GradingError: they say something else.
    """
    setting = nbgrader_settings(root).JudgeInSandbox.get("library", MARK)
    if setting not in SETTINGS:
        choice = " or ".join(f'"{one}"' for one in SETTINGS)
        raise GradingError(f"JudgeInSandbox.library in {CONFIG} must be {choice}, got {setting!r}")
    return setting


def with_marks(
    results: Sequence[Mapping],
    exercises: Sequence[Exercise],
    answers: Mapping[str, str],
    observe: Callable[[dict], Mapping],
    setting: str,
) -> list[dict]:
    """The results, told of what was taken from a library.

    Args:
        results: one for each exercise; `library` holds what its answer was seen to call.
        answers: the cells' text, by component. It is read where it was observed, not here.
        observe: runs a job where it can do no harm.
    """
    left = [
        one["component"]
        for one in results
        if one["points"] and not one.get("library") and library_names_of(one["component"])
    ]
    words = dict.fromkeys(answers, ()) | dict(
        zip(left, _read([answers[name] for name in left], observe), strict=False)
    )
    return [
        _marked(
            dict(result), exercise, named_in(exercise.component, words[exercise.component]), setting
        )
        for result, exercise in zip(results, exercises, strict=True)
    ]


def _read(texts: list[str], observe: Callable[[dict], Mapping]) -> list[list[str]]:
    """The names of libraries in each text. Reading it, too, is nothing for this process."""
    if not texts:
        return []
    calls = [{"probe": "names", "dtype": "plain", "device": "cpu", "text": text} for text in texts]
    reply = observe({**_NOTHING_TO_RUN, "calls": calls})
    came = reply.get("observations")
    values = [seen.get("value") if isinstance(seen, dict) else None for seen in came or ()]
    return [
        [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
        for value in values
    ]


_NOTHING_TO_RUN = {
    "component": "answer",
    "modules": {},
    "setup": [],
    "earlier": [],
    "answer": "answer = None",
    "limits": {},
}


def _marked(result: dict, exercise: Exercise, named: Sequence[str], setting: str) -> dict:
    called = result.pop("library", ())
    found = finding(called, named) if result["points"] else ""
    if not found:
        return result
    if called and setting == NO_POINTS:
        nothing = zero(exercise, f"{found}: in this class that earns no points")
        return nothing | {key: result[key] for key in ("sandbox", "seconds")}
    note = "\n".join(
        wrapped(
            f"note: {found}. Your points stand, and your teacher is told.",
            OTHER_LINES,
            first="  ",
            rest="  ",
        )
    )
    told = " / ".join(filter(None, (result["diagnosis"], found)))
    return result | {"message": printable(f"{result['message']}\n{note}"), "diagnosis": told}
