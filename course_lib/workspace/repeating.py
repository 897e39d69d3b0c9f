"""The inputs of a call that went wrong, to look at, and the call made again before one's eyes."""

import inspect
from importlib import import_module
from typing import Any

from course_lib.checks.judges.seen import Seen
from course_lib.checks.observe.calls import Call
from course_lib.checks.observe.observations import blank
from course_lib.checks.observe.observing import make_call
from course_lib.checks.observe.probes.plain import from_json
from course_lib.checks.observe.probes.record import arguments
from course_lib.lessons.exercises import Exercise

_AROUND_IT = {  # how it is made and looked at, which is no input
    *("probe", "dtype", "device", "random", "alike", "watch_devices", "library", "limits"),
    *("layout", "cotangents", "args", "kwargs", "attributes", "initial", "compare", "ways"),
    *("init", "init_kwargs", "weights", "training", "warm_up", "warm_up_training"),
    *("by_parts", "limit", "n_rows", "x_requires_grad"),
}
MOST_LINES = 12  # of one value, and
MOST_CHARACTERS = 900  # of it, are shown


class Inputs(dict):
    """What the failing call was given, by name; shown a line each."""

    def __repr__(self) -> str:
        lines = []
        for name, value in self.items():
            shape = getattr(value, "shape", None)
            sizes = f"  # {tuple(shape)}, {value.dtype}" if shape is not None else ""
            lines += [f"{name} ={sizes}", *_cut(value)]
        return "\n".join(lines) or "nothing"


def _cut(value: Any) -> list[str]:
    text = repr(value)
    lines = (text[:MOST_CHARACTERS] + " …" * (len(text) > MOST_CHARACTERS)).splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], "…"]
    return ["  " + line for line in lines]


def inputs_of(call: Call, reference: object) -> Inputs:
    """What a call gives the component, tensors and arrays as it gets them.

    Args:
        reference: ours, whose signature says what the arguments are called; of a class, that of
            `forward`.
    """
    call = _innermost(call)
    if call["probe"] == "plain":
        args = [from_json(value) for value in call["args"]]
        kwargs = {name: from_json(value) for name, value in call.get("kwargs", {}).items()}
    else:
        args, kwargs = arguments({"args": [], "kwargs": {}} | call)
    others = {name: value for name, value in call.items() if name not in _AROUND_IT}
    if others.get("script", "") is None:
        del others["script"]
    names = ["x"] if call["probe"] == "influence" else _names(reference, len(args))
    return Inputs(dict(zip(names, args, strict=True)) | kwargs | others)


def reference(exercise: Exercise) -> object:
    """Our own writing of what an exercise asks for."""
    return getattr(import_module(f"course_lib.transformer.{exercise.module}"), exercise.component)


def can_be_called_with_inputs(call: Call) -> bool:
    """Whether `component(**inputs)` is the call itself."""
    innermost = _innermost(call)
    return innermost["probe"] in ("function", "memory") or innermost.get("script", "") is None


def repeat(component: object, call: Call) -> Any:
    """Make the call again: what it prints is seen, an error comes with its traceback.

    Returns:
        The array that came back; a list of several; None if nothing did that can be shown.
    """
    call, seen = _innermost(call), blank()
    make_call(component, call, seen)
    if call["probe"] == "plain":
        return from_json(seen["value"]) if seen["value"] is not None else None
    arrays = [part.array for part in Seen(seen, call).outputs if part.array is not None]
    return arrays[0] if len(arrays) == 1 else arrays or None


def _innermost(call: Call) -> Call:
    """The plain call that a call of several ways is about."""
    while "of" in call:
        call = call["of"] | {"device": call["device"]}
    return call


def _names(reference: object, n: int) -> list[str]:
    """What the first `n` positional arguments are called."""
    if inspect.isclass(reference):
        reference = getattr(reference, "forward", reference.__init__)
    parameters = inspect.signature(reference).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [name for name in names if name != "self"]
    return [*names, *(f"input {k}" for k in range(len(names), n))][:n]
