"""Who asks for gradients: some of the arguments and parameters, and nothing else."""

import functools
from collections.abc import Callable, Collection

from torch import Tensor, nn


def only(names: Collection[str], probe: str, component: Callable) -> Callable:
    """The component, in whose calls only these ask for a gradient.

    Args:
        names: of parameters; arguments are "argument 0", …, and their parameters
            "argument 1.weight", ….
    """
    if probe == "function":

        @functools.wraps(component, updated=())
        def call(*args, **kwargs):
            _ask(names, args)
            return component(*args, **kwargs)

        return call

    @functools.wraps(component, updated=())
    def make(*init, **settings):
        module = component(*init, **settings)
        if isinstance(module, nn.Module):
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(name in names)
            module.register_forward_pre_hook(lambda module, args: _ask(names, args))
        return module

    return make


def _ask(names: Collection[str], args) -> None:
    for n, arg in enumerate(args):
        if isinstance(arg, Tensor) and arg.is_floating_point():
            arg.requires_grad_(f"argument {n}" in names)
        elif isinstance(arg, nn.Module):
            for name, parameter in arg.named_parameters():
                parameter.requires_grad_(f"argument {n}.{name}" in names)
