"""Scripts: what is done to a component in turn, what must come of each step, and their judge.

A component with a memory shows what it remembers only over several calls. Each module of checks
has scripts of its own that know its verbs, and what they must give; the observer goes through them
in `observe/probes/caching.py`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..judges.expect import Judge, also, no_error, same_device
from ..judges.findings import Finding
from ..judges.seen import Seen
from .check import Case, ComponentCheck


class Script:
    """Steps in the making; `case()` is the finished one.

    Args:
        made: what is made before the first step, for messages.
        call: what the observer is told besides the steps.
    """

    def __init__(self, check: ComponentCheck, made: str, *, dtype="float64", watch=False, **call):
        self.made, self.dtype, self.watch = made, dtype, watch
        self.call = {"probe": "caching", "subject": check.name, "dtype": dtype, "device": "cpu"}
        self.call |= {"args": [], "kwargs": {}, "watch_devices": watch, **call}
        self.steps: list[dict] = []
        self.judges: list[tuple[str, Judge]] = []
        self.shown: list[str] = []

    def add(self, verb: str, shown: str, judge: Judge = no_error, **step) -> None:
        """One step more; `shown` is how a message calls it."""
        self.steps.append({"do": verb, **step})
        self.judges.append((shown, judge))
        self.shown.append(shown)

    def case(self, overall: Judge = no_error, *, first: Judge | None = None) -> Case:
        """The steps so far, as one case; the first step that goes wrong is what is found.

        Args:
            overall: looks at all steps together, once each is right by itself.
            first: looks at how all went before the steps are looked at.
        """
        notes = [] if self.dtype == "float64" else [self.dtype]
        shown = ", ".join([self.made, *notes, *_runs(self.shown)])
        call = {**self.call, "steps": list(self.steps)}
        judges = [overall, same_device] if self.watch else [overall]
        before = [first] if first else []
        return Case(call, shown, also(*before, _in_turn(list(self.judges)), *judges))


def _in_turn(judges: list[tuple[str, Judge]]) -> Judge:
    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for number, ((shown, one), step) in enumerate(zip(judges, seen.steps, strict=True), 1):
            finding = one(step)
            if finding:
                place = f"step {number}, {shown}: " if len(judges) > 1 else ""
                return replace(finding, what=place + finding.what)
        return None

    return judge


def _runs(shown: Sequence[str]) -> list[str]:
    """The steps' names, the same ones in a row said once."""
    said: list[list] = []
    for name in shown:
        if said and said[-1][0] == name:
            said[-1][1] += 1
        else:
            said.append([name, 1])
    return [name if times == 1 else f"{times} times {name}" for name, times in said]
