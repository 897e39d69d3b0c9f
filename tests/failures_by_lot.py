"""Failures drawn by lot, to be read by a critic: code, message and hint side by side.

    python -m failures_by_lot --n 200 --seed 7

Bugs of the zoo, second forms and wrong answers, each with what its check says. Whoever reads asks
of each: is the name true, does the hint speak of what is wrong here, is a word of it ours alone?
"""

import argparse
import inspect
import random
import warnings
from collections.abc import Callable
from typing import NamedTuple

from bugs_written_differently import all_second_forms
from wrong_answers import all_wrong_answers

from course_lib.bugs import all_bugs, find_bug
from course_lib.checks import find, observe_here, run


class Failure(NamedTuple):
    """An answer that must fail, and where it comes from."""

    component: str
    origin: str
    implementation: Callable
    code: str


def all_failures() -> list[Failure]:
    """Every bug, second form and wrong answer that there is."""
    failures = []
    for bug in all_bugs():
        lines = [f"{mark} {line}" for mark, line in bug.marked_source if mark != "="]
        code = "\n".join(lines) if bug.change else bug.source
        failures.append(Failure(bug.component, f"bug {bug.name}", bug.implementation, code))
    for form in all_second_forms():
        made = form.implementation
        component = find_bug(form.bug).component
        failures.append(Failure(component, f"second form of {form.bug}", made, source_of(made)))
    for answer in all_wrong_answers():
        made = answer.implementation
        origin = f"wrong answer {made.__name__}"
        failures.append(Failure(answer.component, origin, made, source_of(made)))
    return failures


def source_of(implementation: Callable) -> str:
    try:
        return inspect.getsource(implementation)
    except (OSError, TypeError):
        return "(its source is not at hand)"


def main() -> None:
    parser = argparse.ArgumentParser(description="Print failures drawn by lot, for a critic.")
    parser.add_argument("--n", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws others")
    parser.add_argument("--component", help="of this component alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    failures = [one for one in all_failures() if options.component in (None, one.component)]
    drawn = random.Random(options.seed).sample(failures, min(options.n, len(failures)))
    for number, failure in enumerate(drawn, start=1):
        verdict = run(find(failure.component), observe_here(failure.implementation), seed=0)
        print(f"=== {number} {failure.component}: {failure.origin}")
        print(failure.code.rstrip())
        print(f"--- says\n{verdict.message or 'it passes'}\n")


if __name__ == "__main__":
    main()
