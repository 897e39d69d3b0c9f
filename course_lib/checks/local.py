"""The check in one process: in a notebook, on a page of the book, under pytest."""

import textwrap

from ..lines import OTHER_LINES
from .capstone import find_package_check
from .catalogue import find
from .judges.findings import render_notes
from .observe.here import observe_here
from .observe.load.package import ImportedPackage
from .verdict.library import note_at_the_desk
from .verdict.running import Verdict, run

DEFAULT_SEED = 0


class CheckFailed(AssertionError):
    """A component does not do what it must. Its text, and all that a notebook shows, is why."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check(
    component, *, seed: int | None = None, device: str = "cpu", package: str | None = None
) -> None:
    """Say that `component` is right, or raise `CheckFailed` with what is wrong.

    Args:
        component: the function or class; its `__name__` says which component it is. With
            `package`, the name of a check of the whole package.
        seed: repeats the inputs of another run, such as one that the grader's feedback names.
        device: where to run it, such as "cuda".
        package: the package to check as a whole, by the name that imports it.

    Raises:
        CheckFailed: a property does not hold.
        UnknownComponent: no check is known for that name.
    """
    if package is not None:
        subject, its_check = ImportedPackage(package), find_package_check(component)
    else:
        name = getattr(component, "__name__", str(component))
        subject, its_check = component, find(name)
    observer = observe_here(subject)
    verdict = run(its_check, observer, seed=_seed(seed), device=device)
    printed = render_printed(verdict, observer)
    if not verdict.passed:
        raise CheckFailed("\n".join([failure_text(verdict, seed), *printed]))
    print("\n".join([success_text(verdict), *printed]))
    if note := note_at_the_desk(verdict.name, verdict.library):
        print(note)


def _seed(seed: int | None) -> int:
    return DEFAULT_SEED if seed is None else seed


def success_text(verdict: Verdict) -> str:
    """The line that a passing check prints, and a line for each note."""
    line = (
        f"{verdict.name} is right: {verdict.n_properties} properties hold "
        f"in {verdict.n_calls} calls."
    )
    return "\n".join(filter(None, [line, render_notes(verdict.notes)]))


def failure_text(verdict: Verdict, seed: int | None) -> str:
    """What a failing check says: the message, and how to repeat it with another run's inputs."""
    if seed is None:
        return verdict.message
    return f"{verdict.message}\n  (inputs of seed={seed})"


MOST_PRINTED = 20  # lines that are shown


def render_printed(verdict: Verdict, observer) -> list[str]:
    """What a component printed in the call that the message tells, and how much besides.

    Args:
        observer: the `observe_here` that made the calls.
    """
    texts = [*observer.printed_before, *observer.printed]
    n_lines = sum(len(text.splitlines()) for text in texts)
    told = []
    if verdict.failure and verdict.failure.sent is not None:
        told = observer.printed[verdict.failure.sent].splitlines()
    lines = []
    if told:
        lines.append("  this call printed:")
        lines += [f"    {textwrap.shorten(line, OTHER_LINES - 4)}" for line in told[:MOST_PRINTED]]
    if n_hidden := n_lines - min(len(told), MOST_PRINTED):
        more = f"{n_hidden} more" if told else str(n_hidden)
        lines.append(
            f"  note: {more} printed {'line is' if n_hidden == 1 else 'lines are'} not shown"
        )
    return lines
