"""Modules and models as people have them: subclassed, copied, frozen, in use, with shared parts."""

import copy
import functools

import torch
from torch import Tensor, nn

AS_IT_IS = "as it is"


def _subclassed(component):
    if not isinstance(component, type):  # a function that makes the module
        return _changed(_of_a_subclass)(component)
    return type(component.__name__, (component,), {"__module__": component.__module__})


def _changed(change):
    """A way to make the component's module and then change it."""

    def way(component):
        @functools.wraps(component, updated=())
        def make(*args, **kwargs):
            module = component(*args, **kwargs)
            return change(module) if isinstance(module, nn.Module) else module

        return make

    return way


def _used_before(module: nn.Module) -> nn.Module:
    """Before its first call here it is called in another dtype, with other weights."""
    module.register_forward_pre_hook(_use_in_another_dtype)
    return module


@torch.no_grad()
def _use_in_another_dtype(module: nn.Module, args) -> None:
    if getattr(module, "was_used", False):
        return
    module.was_used = True
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    dtype = next(iter(state.values())).dtype
    other = torch.float16  # what is kept in it has lost digits when it comes back
    module.to(other)
    for parameter in module.parameters():
        parameter.copy_(parameter.flip(0))
    module(*[arg.to(other) if _is_floating(arg) else arg for arg in args])
    module.to(dtype)
    module.load_state_dict(state)


def _is_floating(value) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


MODULES = {
    AS_IT_IS: lambda component: component,
    "a subclass of it": _subclassed,
    "a deep copy of it": _changed(copy.deepcopy),
    "with frozen parameters": _changed(lambda module: module.requires_grad_(False)),
    "used before in another dtype, with other weights": _changed(_used_before),
}


def _of_a_subclass(model: nn.Module) -> nn.Module:
    model.__class__ = type("Mine", (type(model),), {})
    return model


def _with_one_block_twice(model: nn.Module) -> nn.Module:
    model.blocks[-1] = model.blocks[0]
    return model


def _half_frozen(model: nn.Module) -> nn.Module:
    for parameter in list(model.parameters())[::2]:
        parameter.requires_grad_(False)
    return model


MODELS = {
    AS_IT_IS: lambda model: model,
    "a subclass": _of_a_subclass,
    "frozen": lambda model: model.requires_grad_(False),
    "half frozen": _half_frozen,
    "one block twice": _with_one_block_twice,
}


def as_people_have_it(model: nn.Module, spec: dict) -> nn.Module:
    """The model in the way that `spec` says, if it says one."""
    return MODELS[spec.get("way", AS_IT_IS)](model)
