"""An observation as the judge reads it. It comes from the submission's side: nothing is believed.

Whatever does not have the form that `observe/observing.py` gives it becomes `Malformed`, which the
judge reports like any other wrong answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .sent import arguments_of, arguments_of_step, changed


class Malformed(Exception):
    """The observation is not one that the observer writes."""


class Remark(NamedTuple):
    """Something worth saying that breaks no rule; `of_call` where one must know of which call."""

    text: str
    of_call: bool = False


@dataclass(frozen=True)
class Output:
    """One returned value: numbers in float64 (booleans and integers as they are)."""

    kind: str
    array: np.ndarray | None
    dtype: str
    device: str
    requires_grad: bool


class Seen:
    """What a component did in one call.

    A judge that sees something worth saying that breaks no rule leaves it in `remarks`, which the
    steps of a call have in common with it.

    Args:
        call: what it was asked, or None where nobody will want to know what it was sent.
        step: which of several steps of the call this is.
    """

    def __init__(
        self,
        observation,
        call: Mapping | None = None,
        *,
        step: int | None = None,
        remarks: list[Remark] | None = None,
    ):
        if not isinstance(observation, Mapping):
            raise Malformed("no dict")
        self._raw, self._call, self._step = observation, call, step
        self.remarks: list[Remark] = [] if remarks is None else remarks

    @property
    def error(self) -> dict | None:
        error = self._raw.get("error")
        if error is None:
            return None
        if not isinstance(error, Mapping):
            raise Malformed("error")
        classes = error.get("classes")
        return {
            **{key: _text(error.get(key)) for key in ("type", "message", "place", "name")},
            "classes": [_text(c) for c in classes] if isinstance(classes, list) else [],
            "refuses": error.get("refuses") is True,
        }

    @property
    def structure(self) -> str:
        return _text(self._raw.get("structure"))

    @property
    def n_parts(self) -> int:
        n_parts = self._raw.get("n_parts", 0)
        return n_parts if isinstance(n_parts, int) else 0

    @property
    def outputs(self) -> list[Output]:
        return [_output(part) for part in _list(self._raw.get("outputs"))]

    @property
    def changed(self) -> list[int]:
        """The arguments that are not as they were sent: what came back of them is compared.

        What was noted of them inside counts too, which can only cost points: a model that holds
        the same numbers in other parameters, say.
        """
        if self._step is None:
            sent = arguments_of(self._call)
        else:
            sent = arguments_of_step(self._call, self._step)
        came = _list(self._raw.get("arguments"))
        found = changed(sent, [_numbers_or_json(one) for one in came])
        noted = [one for one in _list(self._raw.get("changed", [])) if isinstance(one, int)]
        return sorted({*found, *noted})

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        found = self._raw.get("parameters")
        if not isinstance(found, Mapping):
            raise Malformed("parameters")
        return {_text(name): tuple(_list(shape)) for name, shape in found.items()}

    @property
    def initial(self) -> dict[str, np.ndarray | None]:
        found = self._raw.get("initial")
        if not isinstance(found, Mapping):
            raise Malformed("initial")
        return {_text(name): _numbers(array) for name, array in found.items()}

    @property
    def gradients(self) -> dict[str, np.ndarray | None]:
        found = self._raw.get("gradients")
        if not isinstance(found, Mapping):
            raise Malformed("gradients")
        return {_text(name): _numbers(array) for name, array in found.items()}

    @property
    def kept_gradients(self) -> list[np.ndarray | None]:
        return [_numbers(array) for array in _list(self._raw.get("kept_gradients"))]

    def arrays(self, name: str) -> dict[str, np.ndarray | None]:
        """Arrays by name, in the field `name`: what a call left behind, say."""
        found = self._raw.get(name)
        if not isinstance(found, Mapping):
            raise Malformed(name)
        return {_text(key): _numbers(array) for key, array in found.items()}

    @property
    def value(self):
        """What a component of plain Python returned, as JSON."""
        return self._raw.get("value")

    @property
    def steps(self) -> list["Seen"]:
        """What an object of plain Python did, one after the other, when it was asked."""
        steps = enumerate(_list(self._raw.get("steps", [])))
        return [Seen(one, self._call, step=n, remarks=self.remarks) for n, one in steps]

    def flag(self, name: str):
        """Any other field, for a judge that compares it with what it must be."""
        return self._raw.get(name)


def _output(part) -> Output:
    if not isinstance(part, Mapping):
        raise Malformed("output")
    return Output(
        kind=_text(part.get("kind")),
        array=_numbers(part.get("array")),
        dtype=_text(part.get("dtype")),
        device=_text(part.get("device")),
        requires_grad=part.get("requires_grad") is True,
    )


def _numbers(value) -> np.ndarray | None:
    if value is None:
        return None
    if isinstance(value, Mapping) and value.get("dtype") == "bfloat16":
        bits = value.get("array")
        if not (isinstance(bits, np.ndarray) and bits.dtype == np.uint16):
            raise Malformed("bfloat16")
        with np.errstate(invalid="ignore"):  # memory that nobody has written may hold any nan
            return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise Malformed("array")
    with np.errstate(invalid="ignore"):
        return value.astype(np.float64) if value.dtype.kind == "f" else value


def _numbers_or_json(value):
    is_array = isinstance(value, np.ndarray) or (isinstance(value, Mapping) and "array" in value)
    return _numbers(value) if is_array else value


def _list(value) -> list:
    if not isinstance(value, list):
        raise Malformed("list")
    return value


def _text(value) -> str:
    return value[:400] if isinstance(value, str) else ""
