"""From a component's cases and what was seen in them to a verdict, a message and points."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from ..cases.check import Case, Check, Property
from ..cases.draw import Draw
from ..judges.expect import parameters_are
from ..judges.findings import Finding, render
from ..judges.seen import Malformed, Seen
from ..observe.calls import Call
from ..observe.observations import Reply
from .diagnosis import names_of_bugs

Observer = Callable[[list[Call]], Reply]

# The grader judges several submissions at once, in threads. Chance has one state for all of
# them, which inputs are drawn with and bugs are watched for touching: so one at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Verdict:
    """How one component, or a whole package, did in its check."""

    name: str  # of the check: that of a component, or what a whole package does
    seed: int
    core_passed: bool
    edge_passed: bool
    message: str  # what the learner reads; empty when everything holds
    diagnosis: str  # one line: the bugs it behaves like, or the first broken rule
    n_properties: int
    n_calls: int
    share: float  # of the points, from 0 to 1
    broken: tuple[str, ...] = ()  # the rules that do not hold, core first
    names: tuple[str, ...] = ()  # titles of the bugs it behaves like

    @property
    def passed(self) -> bool:
        return self.core_passed and self.edge_passed

    def points(self, max_points: float) -> float:
        """What it earns of `max_points`: the share that its check's `scoring` gives."""
        return round(self.share * max_points, 4)


def run(check: Check, observer: Observer, *, seed: int, device: str = "cpu") -> Verdict:
    """Draw inputs from `seed`, have them observed, and judge what was seen.

    Args:
        observer: makes the calls: `observe_here` in this process, or the grader's sandbox.
    """
    with _one_thread():
        return _run(check, observer, seed, device)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tensors this small are slowed down by threads, a hundredfold where cores are busy."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _run(check: Check, observer: Observer, seed: int, device: str) -> Verdict:
    with _ONE_AT_A_TIME:
        plan = [(prop, case) for prop in _core_first(check) for case in _cases(prop, seed, device)]
    order = range(len(plan))
    if check.scoring.is_shuffled:
        order = Draw(seed).order(len(plan)).tolist()
    reply = observer([plan[number][1].call for number in order])
    with _ONE_AT_A_TIME:
        return _judged(check, seed, device, plan, order, reply)


def _judged(check, seed: int, device: str, plan, order, reply: Reply) -> Verdict:
    came = reply.get("observations")
    observations = dict(zip(order, came if isinstance(came, list) else [], strict=False))
    judged = []
    for number, (prop, case) in enumerate(plan):
        if number in observations:
            finding = _judge(case, observations[number])
        else:
            finding = _cut_short(reply)
            if not judged and not observations:  # the reason is about the cell, not about a rule
                prop, case = replace(prop, rule=finding.what, hint=""), replace(case, shown="")
        judged.append((prop, case, finding))
    names = []
    wrong = [number for number, (_, _, finding) in enumerate(judged) if finding]
    if wrong and len(observations) == len(plan):
        own = {number for number, (prop, _) in enumerate(plan) if not prop.kind}
        compared = own if own & set(wrong) else set(range(len(plan)))
        names = names_of_bugs(
            check.name,
            (seed, device),
            [case.call for _, case in plan],
            [observations[number] for number in range(len(plan))],
            wrong=[number for number in wrong if number in compared],
            others=sorted(compared - set(wrong)),
            is_wrong=lambda number, seen: _judge(plan[number][1], seen) is not None,
        )
    return _verdict(check, seed, judged, names)


def _core_first(check: Check) -> list[Property]:
    return sorted(check.properties, key=lambda prop: prop.group != "core")


def _cases(prop: Property, seed: int, device: str) -> list[Case]:
    cases = prop.cases(Draw(seed))
    return [replace(case, call={**case.call, "device": device}) for case in cases]


_UNREADABLE = (Malformed, KeyError, TypeError, ValueError, IndexError, OverflowError)


def _judge(case: Case, observation) -> Finding | None:
    try:
        return case.judge(Seen(observation))
    except _UNREADABLE:
        return _never_called(case, observation) or Finding("nothing came back that can be judged")


def _never_called(case: Case, observation) -> Finding | None:
    """Why a module was not called: its state has other names or shapes than the case's weights.

    Whatever else cannot be read is nothing that the observer writes: the submission wrote over it.
    """
    weights = case.call.get("weights")
    if not weights:
        return None
    try:
        return parameters_are({name: array.shape for name, array in weights.items()})(
            Seen(observation)
        )
    except _UNREADABLE:
        return None


def _cut_short(reply: Reply) -> Finding:
    message = reply.get("message")
    return Finding(message if isinstance(message, str) and message else "no answer came back")


def _verdict(check, seed, judged, names) -> Verdict:
    rules = list(dict.fromkeys(prop.rule for prop, _, finding in judged if finding))
    groups = {prop.group for prop, _, finding in judged if finding}
    message = diagnosis = ""
    if groups:
        prop, case, finding = check.scoring.to_tell(judged)
        message = render(check.name, prop.rule, finding, case.shown, names, prop.hint)
        diagnosis = " / ".join(names) or _one_line(prop, finding)
    return Verdict(
        name=check.name,
        seed=seed,
        core_passed="core" not in groups,
        edge_passed="edge" not in groups,
        message=message,
        diagnosis=diagnosis,
        n_properties=len(check.properties),
        n_calls=len(judged),
        share=check.scoring.share(judged),
        broken=tuple(rules),
        names=tuple(names),
    )


def _one_line(prop: Property, finding: Finding) -> str:
    return finding.what if finding.what == prop.rule else f"{prop.rule}: {finding.what}"
