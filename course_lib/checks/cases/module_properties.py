"""What must hold of every module, whatever it computes: one call registers all of it.

    def filled(draw, dtype):
        n_tokens, more_tokens, width = draw.sizes(3)
        weights = {"weight": exact_in(1 + 0.5 * draw.normal(width), dtype)}
        x, earlier = (draw.normal(2, n, width, dtype=dtype) for n in (n_tokens, more_tokens))
        yield Filled([width], weights, [x], earlier=[earlier])

    module_properties(
        rms_norm, filled, oracle=oracles.rms_norm_of, parameters=Rule("…", hint="…")
    )

These are the names and shapes of its parameters, training and evaluation, gradients, half
precision, the device, and inputs that stay as they are. What the module computes is for properties
of its own, which stand before the call: what makes sense only of parameters with the right names
comes after those, and what is about rounding or memory comes last.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..judges.expect import (
    Judge,
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    parameters_are,
    returns,
    same_device,
)
from ..judges.seen import Malformed
from ..judges.tolerances import BY_DTYPE
from ..oracles.tensors import Oracle, gradients_of, values_of
from .check import Case, ComponentCheck
from .draw import Draw


@dataclass(frozen=True)
class Filled:
    """A module as it is made, what fills it, and what it is called with.

    Args:
        init: what it is built from, besides `init_kwargs`.
        weights: by the names of `state_dict`.
        earlier: inputs of a call that comes before, best of another length.
        fresh: what it must hold before it is filled, by name; empty where nothing is asked.
        settings: what the oracle is told besides weights and inputs.
        is_edge: built in a way that edge properties alone are about, such as without bias.
    """

    init: list
    weights: dict[str, np.ndarray]
    inputs: list[np.ndarray]
    earlier: list[np.ndarray]
    init_kwargs: dict = field(default_factory=dict)
    fresh: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    is_edge: bool = False


@dataclass(frozen=True)
class Rule:
    """What a learner reads of a property."""

    rule: str
    hint: str = ""
    fits: tuple[str, ...] = ()


IN_HALF = "which constant does not fit into the dtype, which sum or product rounds too much?"
MODES = Rule(
    "training is as evaluation, whatever came before", hint="forward keeps nothing between calls"
)
GRADIENTS = Rule(
    "gradients reach x and every weight",
)
HALF = Rule(
    "half precision in, half precision out, and close to the exact result",
    hint=IN_HALF,
)
LEAVES_INPUTS = Rule(
    "x is not changed, and every tensor is made on its device",
    hint="device=x.device for what you make yourself",
    fits=("device",),
)


def module_properties(
    check: ComponentCheck,
    filled: Callable[[Draw, str], Iterable[Filled]],
    *,
    oracle: Oracle,
    parameters: Rule,
    modes: Rule = MODES,
    gradients: Rule = GRADIENTS,
    half: Rule = HALF,
    leaves_inputs: Rule = LEAVES_INPUTS,
    names: tuple[str, ...] = ("x",),
) -> None:
    """Register what must hold of every module, after the properties of its own.

    Args:
        filled: draws the modules that are looked at, with numbers that are exact in a dtype.
        oracle: computes what is right, of tensors: parameters by name, then inputs.
        names: what its inputs are called.
    """

    def case(module: Filled, judge: Judge, **options) -> Case:
        return filled_case(check, module, judge, names=names, **options)

    def of_the_core(draw: Draw) -> Iterator[Filled]:
        return (module for module in filled(draw, "float64") if not module.is_edge)

    def values(module: Filled, dtype: str = "float64", **options) -> Case:
        return value_case(check, module, oracle, dtype=dtype, names=names, **options)

    @check.core(parameters.rule, hint=parameters.hint, fits=parameters.fits)
    def has_parameters(draw: Draw) -> Iterator[Case]:
        built = []
        for module in of_the_core(draw):
            if (module.init, module.init_kwargs) not in built:  # each way to build it once
                built.append((module.init, module.init_kwargs))
                judge = starts_at(module.fresh) if module.fresh else no_error
                yield case(module, judge, initial=bool(module.fresh))

    check.properties.insert(0, check.properties.pop())  # without them nothing can be computed

    @check.core(modes.rule, hint=modes.hint, fits=modes.fits)
    def same_in_both_modes(draw: Draw) -> Iterator[Case]:
        for module in of_the_core(draw):
            before = {"warm_up": [module.earlier]}
            yield values(module, training=True)
            yield values(module, **before)
            yield values(module, **before, training=True)
            yield values(module, **before, warm_up_training=True)

    @check.core(gradients.rule, hint=gradients.hint, fits=gradients.fits)
    def has_gradients(draw: Draw) -> Iterator[Case]:
        for training in (False, True):
            for module in of_the_core(draw):
                yield gradient_case(check, module, draw, oracle, names=names, training=training)

    @check.edge(half.rule, hint=half.hint, fits=half.fits)
    def keeps_half_precision(draw: Draw) -> Iterator[Case]:
        for dtype in ("bfloat16", "float16"):
            for module in filled(draw, dtype):
                yield values(module, dtype)

    @check.edge(leaves_inputs.rule, hint=leaves_inputs.hint, fits=leaves_inputs.fits)
    def leaves_its_inputs(draw: Draw) -> Iterator[Case]:
        for module in filled(draw, "float64"):
            yield case(module, arguments_unchanged(names))
            yield case(module, same_device, watch_devices=True)


def filled_case(
    check: ComponentCheck,
    module: Filled,
    judge: Judge,
    *,
    dtype: str = "float64",
    names: tuple[str, ...] = ("x",),
    **options,
) -> Case:
    """A call of a filled module whose parameters must have the names and shapes of `weights`."""
    made = check.build(
        *module.init,
        init_kwargs=module.init_kwargs,
        x=tuple(module.inputs),
        weights=module.weights,
        dtype=dtype,
        names=names,
        **options,
    )
    shapes = {name: array.shape for name, array in module.weights.items()}
    return made.expect(also(parameters_are(shapes), judge))


def value_case(
    check: ComponentCheck, module: Filled, oracle: Oracle, *, dtype: str = "float64", **options
) -> Case:
    """What a filled module returns."""
    expected = values_of(oracle, module.weights, module.inputs, **module.settings)
    judge = returns(expected, dtype=dtype)
    return filled_case(check, module, judge, dtype=dtype, **options)


def gradient_case(
    check: ComponentCheck,
    module: Filled,
    draw: Draw,
    oracle: Oracle,
    *,
    names: tuple[str, ...] = ("x",),
    **options,
) -> Case:
    """The gradients of every input of floating point and of every weight."""
    output = values_of(oracle, module.weights, module.inputs, **module.settings)
    cotangent = draw.normal(*output.shape)
    expected = gradients_of(oracle, module.weights, module.inputs, cotangent, **module.settings)
    labels = {f"argument {n}": name for n, name in enumerate(names)}
    judge = gradients_are(expected, "float64", labels)
    return filled_case(check, module, judge, names=names, cotangents=[cotangent], **options)


def starts_at(expected: dict[str, np.ndarray]) -> Judge:
    """Judge: the values of a fresh module's parameters."""

    def judge(seen):
        found = seen.initial
        for name, array in expected.items():
            values = found.get(name)
            if values is None or values.shape != array.shape:
                raise Malformed("initial")
            finding = differs(values, array, BY_DTYPE["float32"], f"the fresh {name}")
            if finding:
                return finding
        return None

    return judge
