"""Cases and judges for components of plain Python: numbers, strings and lists in and out.

merged = function_case(merge_pair, [1, 1, 1], (1, 1), 9).expect(returns_value([9, 1]))
spoken = script_case(char_tokenizer, ["hello"], asks("encode", "hole", is_right=judge), ...)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..cases.check import Case, ComponentCheck
from ..observe.probes.plain import plain
from .expect import Judge, arguments_unchanged, no_error
from .findings import Finding
from .seen import Seen

WIDEST = 200  # characters of a value that are shown whole


@dataclass(frozen=True)
class Step:
    """One thing asked of an object: an attribute, or a method when there are arguments."""

    name: str
    args: tuple | None
    judge: Judge

    @property
    def call(self) -> dict:
        return {"name": self.name} | (
            {} if self.args is None else {"args": plain(self.args)["tuple"]}
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
    named = [f"{name}={show(plain(value))}" for name, value in kwargs.items()]
    shown = ", ".join([*([_arguments(args)] if args else []), *named])
    call = _call(args, None) | {"kwargs": {name: plain(value) for name, value in kwargs.items()}}
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


def returns_value(expected) -> Judge:
    """Exactly this value, of exactly these types."""
    wanted = plain(expected)

    def judge(seen: Seen) -> Finding | None:
        return no_error(seen) or _difference(seen.value, wanted)

    return judge


def leaves_alone(*names: str) -> Judge:
    """The arguments of these names were not changed."""
    return arguments_unchanged(names)


def same_value(one, other) -> bool:
    """Are two values of JSON the same, and of the same types?"""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    return one == other


def _difference(got, wanted) -> Finding | None:
    if same_value(got, wanted):
        return None
    if got is None:
        return Finding(
            "nothing came back", expected=show(wanted), got="None (is a return missing?)"
        )
    if _kind(got) != _kind(wanted):
        return Finding(
            "wrong type", expected=f"{_kind(wanted)}: {show(wanted)}", got=_with_kind(got)
        )
    if not isinstance(wanted, (list, str)):
        return Finding("wrong value", expected=show(wanted), got=show(got))
    place = next(
        (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if not same_value(a, b)),
        min(len(got), len(wanted)),
    )
    lengths = f"a length of {len(got)} instead of {len(wanted)}"
    details = () if len(got) == len(wanted) else (lengths,)
    return Finding(
        f"wrong value at [{place}]",
        expected=show(wanted, place),
        got=show(got, place),
        details=details,
    )


def _kind(value) -> str:
    if isinstance(value, dict):
        return "a tuple" if "tuple" in value else str(value.get("other"))[:80]
    name = type(value).__name__
    return f"an {name}" if name == "int" else f"a {name}"


def _with_kind(value) -> str:
    is_other = isinstance(value, dict) and "other" in value
    return _kind(value) if is_other else f"{_kind(value)}: {show(value)}"


def show(value, place: int = 0) -> str:
    """A value as one would type it; of a long one, the part around `place`."""
    text = _typed(value)
    if len(text) <= WIDEST or not isinstance(value, (list, str)):
        return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
    first = max(0, place - 6)
    part = _typed(value[first : place + 12])
    return f"from [{first}] on: {part[:WIDEST]} …"


def _typed(value) -> str:
    if isinstance(value, dict):
        items = value.get("tuple")
        if not isinstance(items, list):
            return _kind(value)
        return f"({', '.join(map(_typed, items))}{',' if len(items) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    return repr(value)


def _arguments(args) -> str:
    return ", ".join(show(plain(value)) for value in args)


def _call(args, script) -> dict:
    return {
        "probe": "plain",
        "dtype": "plain",
        "device": "cpu",
        "args": plain(tuple(args))["tuple"],
        "script": script,
    }
