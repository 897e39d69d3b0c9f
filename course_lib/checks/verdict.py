"""From a component's cases and what was seen in them to a verdict, a message and points."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from .cases import Case, ComponentCheck, Draw, Property
from .diagnose import names_of_bugs
from .findings import Finding, render
from .seen import Malformed, Seen

CORE_SHARE = 0.7

Observe = Callable[[list[dict]], Mapping]


@dataclass(frozen=True)
class Verdict:
    """How one component did in one check."""

    component: str
    seed: int
    core_passed: bool
    edge_passed: bool
    message: str  # what the learner reads; empty when everything holds
    diagnosis: str  # one line: the bugs it behaves like, or the first broken rule
    n_properties: int
    n_calls: int
    broken: tuple[str, ...] = ()  # the rules that do not hold, core first

    @property
    def passed(self) -> bool:
        return self.core_passed and self.edge_passed

    def points(self, max_points: float) -> float:
        """Core and edge properties earn their shares whole, and edge only after core."""
        if not self.core_passed:
            return 0.0
        return float(max_points) if self.edge_passed else round(CORE_SHARE * max_points, 4)


def run(check: ComponentCheck, observe: Observe, *, seed: int, device: str = "cpu") -> Verdict:
    """Draw inputs from `seed`, have them observed, and judge what was seen.

    Args:
        observe: takes the calls and answers with a reply, `{"status", "message",
            "observations"}`: `observe_here` in this process, or the grader's sandbox.
    """
    with _one_thread():
        return _run(check, observe, seed, device)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tensors this small are slowed down by threads, a hundredfold where cores are busy."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _run(check: ComponentCheck, observe: Observe, seed: int, device: str) -> Verdict:
    plan = [(prop, case) for prop in _core_first(check) for case in _cases(prop, seed, device)]
    reply = observe([case.call for _, case in plan])
    observations = reply.get("observations")
    observations = observations if isinstance(observations, list) else []
    failures = []
    for number, (prop, case) in enumerate(plan):
        if number < len(observations):
            finding = _judge(case, observations[number])
        else:
            finding = _cut_short(reply)
            if number == 0:  # nothing was run: the reason is about the cell, not about a rule
                prop, case = replace(prop, rule=finding.what, hint=""), replace(case, shown="")
        if finding:
            failures.append((prop, case, finding))
    names = []
    if failures and len(observations) >= len(plan):
        names = names_of_bugs(
            check.name,
            [case.call for _, case in plan],
            observations,
            suspects=[any(case is bad for _, bad, _ in failures) for _, case in plan],
        )
    return _verdict(check, seed, plan, failures, names)


def _core_first(check: ComponentCheck) -> list[Property]:
    return sorted(check.properties, key=lambda prop: prop.group != "core")


def _cases(prop: Property, seed: int, device: str) -> list[Case]:
    cases = prop.cases(Draw(seed))
    return [replace(case, call={**case.call, "device": device}) for case in cases]


def _judge(case: Case, observation) -> Finding | None:
    try:
        return case.judge(Seen(observation))
    except (Malformed, KeyError, TypeError, ValueError, IndexError, OverflowError):
        # The observer never writes such a thing: the submission wrote over it.
        return Finding("what came back is not an observation")


def _cut_short(reply: Mapping) -> Finding:
    message = reply.get("message")
    return Finding(message if isinstance(message, str) and message else "no answer came back")


def _verdict(check, seed, plan, failures, names) -> Verdict:
    rules = list(dict.fromkeys(prop.rule for prop, _, _ in failures))
    groups = {prop.group for prop, _, _ in failures}
    message = diagnosis = ""
    if failures:
        prop, case, finding = failures[0]
        message = render(check.name, prop.rule, finding, case.shown, names, prop.hint)
        diagnosis = " / ".join(names) or _one_line(prop, finding)
    return Verdict(
        component=check.name,
        seed=seed,
        core_passed="core" not in groups,
        edge_passed="edge" not in groups,
        message=message,
        diagnosis=diagnosis,
        n_properties=len({id(prop) for prop, _ in plan}),
        n_calls=len(plan),
        broken=tuple(rules),
    )


def _one_line(prop: Property, finding: Finding) -> str:
    return finding.what if finding.what == prop.rule else f"{prop.rule}: {finding.what}"
