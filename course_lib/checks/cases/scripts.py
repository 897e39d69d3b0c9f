"""Scripts: what is done to a component in turn, what must come of each step, and their judge.

A component with a memory shows what it remembers only over several calls. Each module of checks
has scripts of its own that know its verbs, and what they must give; the observer goes through them
in `observe/probes/caching.py`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..judges.expect import Judge, also, no_error, same_device
from ..judges.findings import Finding
from ..judges.seen import Malformed, Seen
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

    def case(self, overall: Judge = no_error) -> Case:
        """The steps so far, as one case; the first step that goes wrong is what is found.

        Args:
            overall: looks at all steps together, once each is right by itself.
        """
        notes = [] if self.dtype == "float64" else [self.dtype]
        shown = ", ".join([self.made, *notes, *_runs(self.shown)])
        call = {**self.call, "steps": list(self.steps)}
        judges = [overall, same_device] if self.watch else [overall]
        return Case(call, shown, also(_in_turn(list(self.judges)), *judges))


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


def value_is(expected, what: str) -> Judge:
    """What is written down besides the outputs is exactly this, errors or not."""

    def judge(seen: Seen) -> Finding | None:
        if seen.value == expected:
            return None
        return Finding(f"wrong {what}", expected=_listed(expected), got=_listed(seen.value))

    return judge


def _listed(value) -> str:
    if isinstance(value, list):
        return ", ".join(map(_listed, value[:8]))
    if isinstance(value, dict):
        return f"a {str(value.get('other'))[:40]}"
    return str(value)[:40]


def mentions_one_of(*choices: tuple[str, str]) -> Judge:
    """A `ValueError` whose text names one of these arguments and its value."""

    def judge(seen: Seen) -> Finding | None:
        error = seen.error
        if error is None:
            return Finding("no error was raised", expected="ValueError", got="a result")
        if "ValueError" not in error["classes"]:
            got = f"{error['type']}: {error['message']}{error['place']}"
            return Finding("another error was raised", expected="ValueError", got=got)
        if any(all(word in error["message"] for word in words) for words in choices):
            return None
        return Finding(
            "the error's text leaves something out",
            expected="a ValueError whose text holds "
            + ", or ".join(" and ".join(words) for words in choices),
            got=error["message"] or "(no text)",
        )

    return judge


def either(judge: Judge, *others: Judge) -> Judge:
    """What the first judge finds, unless one of the others finds nothing."""

    def judged(seen: Seen) -> Finding | None:
        finding = judge(seen)
        return finding if finding and all(other(seen) for other in others) else None

    return judged


def text_is(expected) -> Judge:
    """These token ids, exactly: those of the prompt, then the new ones."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen) or _is_text(seen, expected.shape)
        if finding:
            return finding
        found = seen.outputs[0].array
        wrong = found != expected
        if not wrong.any():
            return None
        row, place = (int(i) for i in next(zip(*wrong.nonzero(), strict=True)))
        return Finding(
            f"wrong token at [{row}, {place}]",
            expected=f"{int(expected[row, place])} in {expected[row].tolist()}",
            got=f"{int(found[row, place])} in {found[row].tolist()}",
            details=(f"{int(wrong.sum())} of {wrong.size} tokens differ",),
        )

    return judge


def _is_text(seen: Seen, shape: tuple[int, ...]) -> Finding | None:
    outputs = seen.outputs
    is_one = seen.structure not in ("tuple", "list") and len(outputs) == 1
    if not is_one or outputs[0].kind != "tensor":
        got = "None (return is missing)" if seen.structure == "NoneType" else f"a {seen.structure}"
        return Finding("wrong type", expected="a tensor of token ids", got=got)
    output = outputs[0]
    if output.array is None:
        raise Malformed("text")
    if output.array.shape != shape:
        return Finding("wrong shape", expected=str(shape), got=str(output.array.shape))
    if output.dtype != "int64":
        return Finding("wrong dtype", expected="int64", got=output.dtype)
    return None


def is_text(shape: tuple[int, ...], also: Judge) -> Judge:
    """A tensor of token ids of this shape, which the other judge then looks at."""

    def judge(seen: Seen) -> Finding | None:
        return no_error(seen) or _is_text(seen, shape) or also(seen)

    return judge
