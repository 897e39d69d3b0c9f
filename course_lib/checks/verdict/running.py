"""From a component's cases and what was seen in them to a verdict, a message and points."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from course_lib.bugs import Bug
from course_lib.bugs.changes import COMES, GOES, STAYS

from ..cases.check import Case, Check, Property
from ..cases.draw import Draw
from ..judges.expect import parameters_are
from ..judges.findings import Finding, render, render_notes
from ..judges.seen import Malformed, Seen
from ..observe.calls import Call
from ..observe.observations import Reply
from .diagnosis import bugs_like
from .hints import what_to_look_at
from .library import library_of

Observer = Callable[[list[Call]], Reply]

# The grader judges several submissions at once, in threads. Chance has one state for all of
# them, which inputs are drawn with and bugs are watched for touching: so one at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Failure:
    """The failure that a message tells, in its parts: plain data."""

    rule: str
    finding: Finding
    call: Call
    shown: str  # the call, as a learner would type it
    look_at: str  # the message's last line
    changes: tuple[tuple[str, str], ...]  # each bug's title, and the component with that bug
    sent: int | None  # which of the observer's calls it was; None if it came to none


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
    library: tuple[str, ...] = ()  # what is to be written, and was called from a library
    notes: tuple[str, ...] = ()  # what breaks no rule and costs nothing; `message` ends with them
    failure: Failure | None = None  # what `message` tells

    @property
    def passed(self) -> bool:
        return self.core_passed and self.edge_passed

    def points(self, max_points: float) -> float:
        """What it earns of `max_points`: the share that its check's `scoring` gives."""
        return round(self.share * max_points, 4)


def run(check: Check, observer: Observer, *, seed: int, device: str = "cpu") -> Verdict:
    """Draw inputs from `seed`, have them observed, and judge what was seen.

    Args:
        observer: makes the calls: `observe_here` in this process, or the grader's sandbox. One
            that `sets_no_limits` is not asked for calls that are about limits.
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
        plan = _plan(_core_first(check), seed, device)
    if getattr(observer, "sets_no_limits", False):
        plan = [(prop, case) for prop, case in plan if "limits" not in case.call]
    order = range(len(plan))
    if check.scoring.is_shuffled:
        order = Draw(seed).order(len(plan)).tolist()
    calls = _watched(plan, library_of(check).names)
    reply = observer([calls[number] for number in order])
    with _ONE_AT_A_TIME:
        verdict = _judged(check, seed, device, plan, order, reply)
    return replace(verdict, library=_called(check, reply))


def _watched(plan: list[tuple[Property, Case]], names: tuple[str, ...]) -> list[Call]:
    """The calls, of which the first of each core property is watched for these names of a library.

    To watch makes a call slower by half: who takes an answer from a library does so in the core.
    """
    calls, seen = [], set()
    for prop, case in plan:
        is_watched = names and prop.group == "core" and prop.rule not in seen
        calls.append({**case.call, "library": list(names)} if is_watched else case.call)
        seen.add(prop.rule)
    return calls


def _called(check: Check, reply: Reply) -> tuple[str, ...]:
    """What the component is to write, and was seen to take from a library."""
    came = reply.get("observations")
    came = came if isinstance(came, list) else []
    told = [seen.get("library") for seen in came if isinstance(seen, dict)]
    told = [names for names in told if isinstance(names, list)]
    return tuple(name for name in library_of(check).names if any(name in one for one in told))


def _judged(check, seed: int, device: str, plan, order, reply: Reply) -> Verdict:
    came = reply.get("observations")
    observations = dict(zip(order, came if isinstance(came, list) else [], strict=False))
    judged, remarks = [], {}
    for number, (prop, case) in enumerate(plan):
        if number in observations:
            finding, remarked = _judge(case, observations[number])
            remarks.setdefault(prop.rule, []).extend(remarked)
        else:
            finding = _cut_short(reply)
            if not judged and not observations:  # the reason is about the cell, not about a rule
                prop, case = replace(prop, rule=finding.what), replace(case, shown="")
        judged.append((prop, case, finding))
    bugs = []
    wrong = [number for number, (_, _, finding) in enumerate(judged) if finding]
    if wrong and len(observations) == len(plan):
        own = {number for number, (prop, _) in enumerate(plan) if not prop.kind}
        compared = own if own & set(wrong) else set(range(len(plan)))
        # Without the sandbox's limits, a bug that is run here does something else.
        compared -= {number for number, (_, case) in enumerate(plan) if "limits" in case.call}
        bugs = bugs_like(
            check.name,
            (seed, device, len(plan)),
            [case.call for _, case in plan],
            [observations[number] for number in range(len(plan))],
            wrong=[number for number in wrong if number in compared],
            others=sorted(compared - set(wrong)),
            is_wrong=lambda number, seen: _judge(plan[number][1], seen)[0] is not None,
        )
    notes = ()
    if not any(finding for prop, _, finding in judged if prop.group == "core"):
        notes = tuple(dict.fromkeys(said[0] for said in remarks.values() if said))
    made = list(order)[: len(observations)]
    return _verdict(check, seed, judged, made, bugs, notes)


def _core_first(check: Check) -> tuple[Property, ...]:
    return tuple(sorted(check.properties, key=lambda prop: prop.group != "core"))


@lru_cache(maxsize=4)
def _plan(properties: tuple[Property, ...], seed: int, device: str) -> list[tuple[Property, Case]]:
    """What is asked: drawn once for all who are asked the same, since every probe copies it."""
    return [(prop, case) for prop in properties for case in _cases(prop, seed, device)]


def _cases(prop: Property, seed: int, device: str) -> list[Case]:
    cases = prop.cases(Draw(seed))
    return [replace(case, call={**case.call, "device": device}) for case in cases]


_UNREADABLE = (Malformed, KeyError, TypeError, ValueError, IndexError, OverflowError)


def _judge(case: Case, observation) -> tuple[Finding | None, list[str]]:
    """What is wrong with a call, if anything is, and what is to be remarked of it besides."""
    try:
        seen = Seen(observation, case.call)
        return case.judge(seen), seen.remarks
    except _UNREADABLE:
        finding = _never_called(case, observation)
        return finding or Finding("nothing came back that can be judged", how="unreadable"), []


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
    what = message if isinstance(message, str) and message else "no answer came back"
    return Finding(what, how="cut short")


def _verdict(check, seed, judged, made: list[int], bugs: list[Bug], notes: tuple) -> Verdict:
    names = tuple(bug.title for bug in bugs)
    rules = list(dict.fromkeys(prop.rule for prop, _, finding in judged if finding))
    groups = {prop.group for prop, _, finding in judged if finding}
    message, diagnosis, failure = "", "", None
    if groups:
        prop, case, finding = check.scoring.to_tell(judged)
        look_at = what_to_look_at(prop, finding, bugs)
        message = render(check.name, prop.rule, finding, case.shown, names, look_at)
        message = "\n".join(filter(None, [message, render_notes(notes)]))
        diagnosis = " / ".join(names) or _one_line(prop, finding)
        number = next(n for n, (_, _, found) in enumerate(judged) if found)
        sent = made.index(number) if number in made else None
        changes = tuple((bug.title, _marked(bug)) for bug in bugs)
        failure = Failure(prop.rule, finding, case.call, case.shown, look_at, changes, sent)
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
        names=names,
        notes=notes,
        failure=failure,
    )


def _marked(bug: Bug) -> str:
    """The component's code: `-` before what the bug takes away, `+` before what it puts there."""
    signs = {STAYS: " ", GOES: "-", COMES: "+"}
    return "\n".join(f"{signs[mark]} {line}" for mark, line in bug.marked_source)


def _one_line(prop: Property, finding: Finding) -> str:
    return finding.what if finding.what == prop.rule else f"{prop.rule}: {finding.what}"
