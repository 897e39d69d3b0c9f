"""What a check is made of: a component's properties, each a list of cases.

A case is a call and a judge for what was seen in it. Properties are written once, in
`checks/lessons/`, as functions that draw inputs and yield cases:

    @attention.core("the weights of a query must sum to 1 over the keys", hint="…")
    def sums(draw):
        q, k, v = draw.normal(3, 5), draw.normal(7, 5), draw.normal(7, 9)
        yield attention.call(q, k, v).expect(rows_sum_to_one)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..judges.expect import Judge
from ..observe.calls import Call, FunctionCall
from .draw import Draw
from .scoring import CORE_THEN_EDGE, CoreThenEdge
from .shown import show, show_arrays, show_shape


@dataclass(frozen=True)
class Case:
    """One call, how to show it, and who judges what was seen."""

    call: Call
    shown: str
    judge: Judge | None = None
    names: tuple[str, ...] = ()  # what its arguments are called

    def expect(self, judge: Judge) -> "Case":
        return replace(self, judge=judge)


@dataclass(frozen=True)
class Property:
    """One thing that must hold of a component.

    Args:
        group: "core" or "edge".
        hint: where to look when a value is wrong.
        fits: other ways to fail that the hint speaks of, by the names in `verdict/hints.py`; in
            all others the hint is one from there.
    """

    rule: str
    group: str
    cases: Callable[[Draw], Iterable[Case]]
    hint: str
    fits: tuple[str, ...] = ()
    kind: str = ""  # of those asked of all components alike: which (`asked_of_all/`)


@dataclass
class Check:
    """All that must hold of one component, or of a whole package."""

    name: str
    module: str
    lesson: str
    scoring: CoreThenEdge = field(default=CORE_THEN_EDGE, kw_only=True)
    properties: list[Property] = field(default_factory=list, kw_only=True)

    def core(self, rule: str, *, hint: str = "", fits: tuple[str, ...] = ()):
        """Register a property that makes 70 % of the points, all of them together."""
        return self._register(rule, "core", hint, fits)

    def edge(self, rule: str, *, hint: str = "", fits: tuple[str, ...] = ()):
        """Register a property that makes the other 30 %, counted once the core holds."""
        return self._register(rule, "edge", hint, fits)

    def asked(self, kind: str, rule: str, *, hint: str = "", fits: tuple[str, ...] = ()):
        """Register what a kind asks of all (`asked_of_all/`), where a component draws its own."""
        return self._register(rule, "edge", hint, fits, kind)

    def _register(self, rule: str, group: str, hint: str, fits: tuple[str, ...], kind: str = ""):
        def register(cases):
            self.properties.append(Property(rule, group, cases, hint, fits, kind))
            return cases

        return register


@dataclass
class ComponentCheck(Check):
    """All that must hold of one component, and how a case calls it."""

    dtype: str = "float64"  # "numpy" for a NumPy component, "plain" for one of plain Python
    idle: list[Callable[[Draw], Iterable[Case]]] = field(default_factory=list, kw_only=True)

    def nothing_to_do(self, cases: Callable[[Draw], Iterable[Case]]):
        """Register calls in which all is done, for those kinds of `asked_of_all/` that ask so."""
        self.idle.append(cases)
        return cases

    def call(self, *args, dtype: str | None = None, names: Sequence[str] = (), **options) -> Case:
        """A call of a function. Options that are not part of a call are its keyword arguments."""
        call = self._call("function", args, dtype, options)
        return Case(call, self._shown(args, options, names, call["dtype"]), names=tuple(names))

    def build(
        self,
        *init,
        x,
        weights,
        dtype=None,
        init_kwargs=None,
        training=False,
        warm_up=(),
        warm_up_training=None,
        initial=False,
        attributes=(),
        names: Sequence[str] = ("x",),
        notes: Sequence[str] = (),
        **options,
    ) -> Case:
        """A module built from `init`, filled with `weights`, and called with `x`.

        Args:
            x: its input, or a tuple of several.
            training: in training mode instead of evaluation mode.
            warm_up: inputs of calls that come before, on the same module: an array, or a list.
            warm_up_training: the mode of those calls, where it is another than `training`.
            initial: look at the values of the state of the fresh module as well.
            attributes: names of attributes whose kind is looked at.
            names: what its inputs are called, for messages.
            notes: what else a message must say of the call, such as what its weights are.
        """
        args = x if isinstance(x, tuple) else (x,)
        call = self._call("module", args, dtype, options)
        call |= {"init": list(init), "init_kwargs": init_kwargs or {}, "weights": weights}
        call |= {"training": training, "warm_up": list(warm_up)}
        call |= {"warm_up_training": training if warm_up_training is None else warm_up_training}
        call |= {"initial": initial, "attributes": list(attributes)}
        made = [*map(repr, init), *(f"{k}={v!r}" for k, v in call["init_kwargs"].items())]
        notes = [call["dtype"], *notes, "training" if training else "evaluation"]
        before = [earlier if isinstance(earlier, list) else [earlier] for earlier in warm_up]
        in_training = " in training" if call["warm_up_training"] and not training else ""
        notes += [f"after {show_arrays(earlier, names)}{in_training}" for earlier in before]
        given = [show_arrays(args, names), *(f"{k}={show(v)}" for k, v in options.items())]
        shown = f"{self.name}({', '.join(made)})({', '.join(given)})"
        return Case(call, f"{shown}, {', '.join(notes)}", names=tuple(names))

    def influence(self, fn: dict, x, *, x_requires_grad=False, dtype=None) -> Case:
        """A call of `future_influence` on a named fixture."""
        call = self._call("influence", (x,), dtype, {})
        call |= {"fn": fn, "x_requires_grad": x_requires_grad}
        return Case(call, f"{self.name}(fn, x {show_shape(x)}), {call['dtype']}")

    def _call(self, probe: str, args, dtype, options) -> FunctionCall:
        special = {
            "cotangents": options.pop("cotangents", None),
            "watch_devices": options.pop("watch_devices", False),
            "random": options.pop("random", False),
        }
        return {
            "probe": probe,
            "dtype": dtype or self.dtype,
            "device": "cpu",
            "args": list(args),
            "kwargs": dict(options),
            **special,
        }

    def _shown(self, args, kwargs, names, dtype) -> str:
        parts = [show(value, names[n] if n < len(names) else "") for n, value in enumerate(args)]
        parts += [f"{name}={show(value)}" for name, value in kwargs.items()]
        arrays = any(isinstance(v, np.ndarray) and v.dtype.kind == "f" for v in args)
        suffix = f", {dtype}" if arrays and dtype != "numpy" else ""
        return f"{self.name}({', '.join(parts)}){suffix}"
