"""Cases of components of plain Python: numbers, strings and lists in and out.

merged = function_case(merge_pair, [1, 1, 1], (1, 1), 9).expect(returns_value([9, 1]))
spoken = script_case(char_tokenizer, ["hello"], asks("encode", "hole", judge=is_right), ...)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..judges.expect import Judge, no_error
from ..judges.findings import Finding
from ..judges.plain import as_typed
from ..judges.seen import Seen
from ..observe.calls import PlainCall
from ..observe.probes.plain import as_json
from .check import Case, ComponentCheck


@dataclass(frozen=True)
class Step:
    """One thing asked of an object: an attribute, or a method when there are arguments."""

    name: str
    args: tuple | None
    judge: Judge

    @property
    def call(self) -> dict:
        return {"name": self.name} | (
            {} if self.args is None else {"args": as_json(self.args)["tuple"]}
        )

    @property
    def shown(self) -> str:
        return f".{self.name}" + ("" if self.args is None else f"({_arguments(self.args)})")


def asks(method: str, *args, judge: Judge) -> Step:
    """A call of a method."""
    return Step(method, args, judge)


def reads(attribute: str, judge: Judge) -> Step:
    """A look at an attribute."""
    return Step(attribute, None, judge)


def function_case(check: ComponentCheck, *args, **kwargs) -> Case:
    """A call of a function of plain values."""
    named = [f"{name}={as_typed(as_json(value))}" for name, value in kwargs.items()]
    shown = ", ".join([*([_arguments(args)] if args else []), *named])
    call = _call(args, None) | {"kwargs": {name: as_json(value) for name, value in kwargs.items()}}
    return Case(call, f"{check.name}({shown})")


def script_case(check: ComponentCheck, init: tuple, *steps: Step) -> Case:
    """An object built from `init`, and what it is asked, each step with a judge of its own."""
    made = f"{check.name}({_arguments(init)})"
    call = _call(init, [step.call for step in steps])
    if len(steps) == 1:
        return Case(call, made + steps[0].shown, _in_turn(steps, name_them=False))
    return Case(call, made, _in_turn(steps, name_them=True))


def _in_turn(steps: tuple[Step, ...], *, name_them: bool) -> Callable[[Seen], Finding | None]:
    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for step, done in zip(steps, seen.steps, strict=True):
            finding = step.judge(done)
            if finding:
                return (
                    replace(finding, what=f"{step.shown}: {finding.what}") if name_them else finding
                )
        return None

    return judge


def _arguments(args) -> str:
    return ", ".join(as_typed(as_json(value)) for value in args)


def _call(args, script) -> PlainCall:
    return {
        "probe": "plain",
        "dtype": "plain",
        "device": "cpu",
        "args": as_json(tuple(args))["tuple"],
        "script": script,
    }
