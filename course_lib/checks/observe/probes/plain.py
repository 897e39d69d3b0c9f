"""Observe components of plain Python: a function, or an object and what it is asked in turn.

Values are JSON: None, booleans, numbers, strings and lists are themselves, a tuple is
`{"tuple": [...]}`, and what is none of these, or too big, is `{"other": "what it is"}`.
"""

import operator

import numpy as np

from ..calls import PlainCall
from ..load.answer import describe_error
from ..observations import Observation, blank
from .record import type_name

MAX_ITEMS = 10_000
MAX_TEXT = 20_000
MAX_DEPTH = 4


def observe_plain(component, call: PlainCall, seen: Observation) -> None:
    """Call the function, or build the object and go through the script; write into `seen`."""
    if call["script"] is None:
        _record(component, call["args"], seen, call.get("kwargs", {}))
        return
    args = [from_json(value) for value in call["args"]]
    subject = component(*args)
    seen["steps"] = [_step(subject, step) for step in call["script"]]
    seen["arguments"] = [as_json(arg) for arg in args]
    seen["changed"] = _changed(args, call["args"])


def _step(subject, step) -> Observation:
    seen = blank()
    try:
        asked = getattr(subject, step["name"])
        if "args" in step:
            _record(asked, step["args"], seen)
        else:
            seen["value"] = as_json(asked)
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen


def _record(asked, given, seen, named=()) -> None:
    args = [from_json(value) for value in given]
    kwargs = {name: from_json(value) for name, value in dict(named).items()}
    seen["value"] = as_json(asked(*args, **kwargs))
    seen["arguments"] = [as_json(arg) for arg in args]
    seen["changed"] = _changed(args, given)


def _changed(args, given) -> list[int]:
    return [
        n for n, (now, then) in enumerate(zip(args, given, strict=True)) if as_json(now) != then
    ]


def from_json(value):
    """A fresh object from its JSON. Equal numbers are not one object, so `is` is not `==`."""
    if isinstance(value, dict):
        return tuple(from_json(item) for item in value["tuple"])
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return int(str(value)) if type(value) is int else value


def as_json(value):
    """`value` as JSON, its size bounded."""
    return _as_json(value, [MAX_ITEMS], 0)


def _as_json(value, left: list[int], depth: int):
    left[0] -= 1
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (int, np.integer)):
        value = operator.index(value) if isinstance(value, np.integer) else int.__index__(value)
        fits = abs(value) < 2**63
        return value if fits else {"other": f"an int of {value.bit_length()} bits"}
    if isinstance(value, str):
        value = str.__str__(value)
        return value if _can_travel(value) else {"other": "a str too long, or not UTF-8"}
    if isinstance(value, (list, tuple)):
        if depth == MAX_DEPTH or len(value) > left[0]:
            return {"other": f"a {type_name(value)} too deep or too long"}
        items = [_as_json(item, left, depth + 1) for item in value]
        return {"tuple": items} if isinstance(value, tuple) else items
    return {"other": f"a {type_name(value)}"}


def _can_travel(text: str) -> bool:
    if len(text) > MAX_TEXT:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
