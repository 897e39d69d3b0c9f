"""One call in several ways: what is seen in each is as in the first."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...judges.alike import alike
from ...judges.expect import Judge, differs, no_error, right_shape
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...judges.tolerances import BY_DTYPE, Tolerance
from ...observe.calls import Call


def call_around(of: Call, **call) -> Call:
    """A call that makes others of `of`, and is compared as that is."""
    return call | {"of": of} | {key: of[key] for key in ("dtype", "device", "alike") if key in of}


def same_in_all(call: Call, ways: Sequence[str], *, seen_of: Callable = lambda seen: seen) -> Judge:
    """Judge: each step is as the first. What is wrong in the first is for other rules to say.

    Args:
        ways: what is said of each step, the first included.
        seen_of: the part of an observation that is compared.
    """

    def judge(seen: Seen) -> Finding | None:
        steps, raw = seen.steps, seen.flag("steps")
        if len(steps) != len(ways):
            raise Malformed("steps")
        if _error_of(steps[0]):
            return None
        for way, step, one in zip(ways[1:], steps[1:], raw[1:], strict=True):
            finding = _error_of(step) or _another(steps[0], step, call)
            if not finding and one.get("changed") and not raw[0].get("changed"):
                finding = Finding("an input was changed in place", how="changed")
            if not finding and not alike(seen_of(one), seen_of(raw[0]), call):
                finding = Finding("something else came of it")
            if finding:
                return replace(finding, what=f"{way}: {finding.what}")
        return None

    return judge


def what_came_back(seen: dict) -> dict:
    """An observation without what is said of the module itself, and of who asks for gradients."""
    kept = {key: seen[key] for key in ("error", "outputs", "structure", "changed") if key in seen}
    kept["outputs"] = [output | {"requires_grad": False} for output in kept.get("outputs", ())]
    gradients = seen.get("gradients")
    if isinstance(gradients, dict):
        kept["gradients"] = {k: v for k, v in gradients.items() if k.startswith("argument")}
    if isinstance(seen.get("steps"), list):
        kept["steps"] = [what_came_back(step) for step in seen["steps"]]
    return kept


def _error_of(seen: Seen) -> Finding | None:
    """The error of a call, or of one of its steps."""
    return no_error(seen) or next(filter(None, map(no_error, seen.steps)), None)


def _another(first: Seen, now: Seen, call: Call) -> Finding | None:
    """What a tensor or an array differs in, up to rounding or, where a call says so, chance."""
    rounding = BY_DTYPE.get(call["dtype"], Tolerance(0.0, 0.0))
    chance = max(rounding.absolute, call.get("alike", 0.0))
    tolerance = replace(rounding, absolute=chance)
    for before, after in zip(first.outputs, now.outputs, strict=False):
        if before.array is None or after.array is None:
            continue
        finding = right_shape(after, before.array, "", "")
        finding = finding or differs(after.array, before.array, tolerance)
        if finding:
            return finding
    return None
