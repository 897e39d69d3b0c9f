"""What a component did before the call that counts: with other numbers, other weights, or in vain.

Each way makes of a component one that does something else first. What comes of that is not looked
at, and errors in it are nobody's.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def other_calls(call: Callable, args: list, kwargs: dict) -> None:
    """With other numbers in arrays of equal shape, and other settings: all of them, then each.

    First in another dtype, then in this one: what is kept by size is made by the first call of all.
    """
    own = [_other(arg) if _is_array(arg) else arg for arg in args]
    casts = any(_casts(arg) for arg in own)
    for arrays in ([[_in_another_dtype(arg) for arg in own]] if casts else []) + [own]:
        for settings in _other_settings(call, args, kwargs):
            given = [settings.pop(n, array) for n, array in enumerate(arrays)]
            _in_vain(call, given, kwargs | settings)


def same_tensors(call: Callable, args: list, kwargs: dict) -> None:
    """With the very tensors that are given now, which held other numbers then."""
    arrays = [arg for arg in args if _is_array(arg)]
    now = [_copy(array) for array in arrays]
    with torch.no_grad():
        for array, numbers in zip(arrays, now, strict=True):
            _write(array, _other(numbers))
    _in_vain(call, args, kwargs)
    with torch.no_grad():
        for array, numbers in zip(arrays, now, strict=True):
            _write(array, numbers)


def interrupted(call: Callable, args: list, kwargs: dict) -> None:
    """Broken off in the middle, and right before its end."""
    others = [_other(arg) if _is_array(arg) else arg for arg in args]
    counting = _Counting()
    _in_vain(call, others, kwargs, counting)
    for place in {counting.n // 2, counting.n - 1}:
        _in_vain(call, others, kwargs, _Counting(breaks_at=place))


def in_inference_mode(call: Callable, args: list, kwargs: dict) -> None:
    """By somebody who will not want gradients."""
    own = [_copy(arg) if _is_array(arg) else arg for arg in args]
    with torch.inference_mode():
        _in_vain(call, own, kwargs)


class _Counting(TorchFunctionMode):
    """Counts what torch is asked, and breaks off at one of these."""

    def __init__(self, breaks_at: int | None = None):
        super().__init__()
        self.n, self.breaks_at = 0, breaks_at

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.n += 1
        if self.n - 1 == self.breaks_at:
            raise RuntimeError("broken off, as it was to be")
        return function(*args, **(kwargs or {}))


def _in_vain(call: Callable, args: list, kwargs: dict, within=None) -> None:
    with_gradients = torch.is_grad_enabled()
    with contextlib.suppress(Exception), within or contextlib.nullcontext():
        call(*args, **kwargs)
    torch.set_grad_enabled(with_gradients)


def _other_settings(call: Callable, args: list, kwargs: dict) -> Iterator[dict]:
    """Numbers and switches as something else, by place or name, also those that are not given."""
    named = _defaults(getattr(call, "forward", call), len(args)) | kwargs
    others = {n: _other_number(value) for n, value in [*enumerate(args), *named.items()]}
    others = {name: value for name, value in others.items() if value is not None}
    yield dict(others)
    if len(others) > 1:
        yield from ({name: value} for name, value in others.items())


def _defaults(call: Callable, n_given: int) -> dict:
    """What the arguments are that may be left out, and are not among the first `n_given`."""
    try:
        parameters = [*inspect.signature(call).parameters.values()][n_given:]
    except (TypeError, ValueError):
        return {}
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _other_number(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value / 2 if isinstance(value, float) else None


def _is_array(value) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _copy(array):
    return array.detach().clone() if isinstance(array, Tensor) else array.copy()


def _other(array):
    """The same numbers in other places, negative where they can be, so that they are as valid."""
    if isinstance(array, Tensor):
        array = array.detach()
        moved = array.roll(1, dims=-1) if array.dim() else array.clone()
        return -moved if array.is_floating_point() else moved
    moved = np.roll(array, 1, axis=-1) if array.ndim else array.copy()
    return -moved if array.dtype.kind == "f" else moved


def _casts(value) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _in_another_dtype(value):
    if _casts(value):
        return value.to(torch.float32 if value.dtype is torch.float64 else torch.float64)
    return value


def _write(array, numbers) -> None:
    if isinstance(array, Tensor):
        array.copy_(numbers)
    else:
        array[...] = numbers


# --- modules: other weights, and another of their kind -------------------------------------------


def of_another(make: Callable[[], nn.Module]) -> Callable:
    """With a module of the same class, made in a like way, whose weights are its own."""

    def earlier(module: nn.Module, args: list, kwargs: dict) -> None:
        with contextlib.suppress(Exception):
            first = next(module.parameters())
            other = make().to(dtype=first.dtype, device=first.device).train(module.training)
            other(*args, **kwargs)

    return earlier


def _changed_as_by_an_optimizer(module: nn.Module, weights: dict) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.sub_(weights[name])  # twice the weights, less the weights


def _loaded(module: nn.Module, weights: dict) -> None:
    module.load_state_dict(weights)


def with_other_weights(change: Callable) -> Callable:
    """With twice the weights, as `change` then takes away; in evaluation, and as it is used now.

    The weights are those of the module that is called, or of the model that is given.
    """

    def earlier(call: Callable, args: list, kwargs: dict) -> None:
        module = call if isinstance(call, nn.Module) else args[0]
        weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        modes = [(part, part.training) for part in module.modules()]
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(2)
            module.eval()
            _in_vain(call, args, kwargs)
        if torch.is_grad_enabled() or any(is_training for _, is_training in modes):
            for part, is_training in modes:
                part.train(is_training)
            _in_vain(call, args, kwargs)
        change(module, weights)

    return earlier


def nothing(call: Callable, args: list, kwargs: dict) -> None:
    """For comparison."""


def in_another_dtype(module: nn.Module, args: list, kwargs: dict) -> None:
    """Converted to another dtype, used there, and converted back to the weights that it had."""
    dtype = next(filter(_casts, module.parameters())).dtype
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.to(torch.float32 if dtype is torch.float64 else torch.float64)
    _in_vain(module, [_in_another_dtype(arg) for arg in args], kwargs)
    module.to(dtype)
    module.load_state_dict(weights)


ALWAYS = {
    "after calls with other numbers": other_calls,
    "after a call in which these tensors held other numbers": same_tensors,
    "after calls that were broken off": interrupted,
}
NOTHING_BEFORE = "with nothing before"
WITH_GRADIENTS = {"after a call in inference mode": in_inference_mode}
OF_MODULES = {
    NOTHING_BEFORE: nothing,
    "after it was converted to float64, and back": in_another_dtype,
}
OF_WEIGHTS = {
    "after the weights changed in place": with_other_weights(_changed_as_by_an_optimizer),
    "after the weights were loaded": with_other_weights(_loaded),
}
WAYS = ALWAYS | WITH_GRADIENTS | OF_MODULES | OF_WEIGHTS


def a_function(way: str, component: Callable) -> Callable:
    """The function, which does something else before each call."""

    @functools.wraps(component, updated=())
    def call(*args, **kwargs):
        WAYS[way](component, list(args), kwargs)
        return component(*args, **kwargs)

    return call


def a_module(way: str, component: Callable) -> Callable:
    """What makes the module, which does something else before its first call."""

    @functools.wraps(component, updated=())
    def make(*init, **settings):
        module = component(*init, **settings)
        if isinstance(module, nn.Module):
            others = [next(_other_settings(component, [*init], settings)), settings]
            makes = [functools.partial(_made, component, init, settings, other) for other in others]
            earlier = [*map(of_another, makes), WAYS[way]] if way in ALWAYS else [WAYS[way]]
            _do_first(module, earlier)
        return module

    return make


def _made(component: Callable, init, settings: dict, others: dict) -> nn.Module:
    """A module with some settings as something else; its sizes stay."""
    return component(*init, **settings | {n: o for n, o in others.items() if isinstance(n, str)})


def _do_first(module: nn.Module, earlier: list[Callable]) -> None:
    left = list(earlier)

    def hook(module, args, kwargs):
        while left:
            left.pop(0)(module, list(args), kwargs)

    module.register_forward_pre_hook(hook, with_kwargs=True)
