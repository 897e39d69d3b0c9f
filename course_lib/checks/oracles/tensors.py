"""From arrays to tensors, and from tensors to gradients by the names that an observation has."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

# What a module computes: of its parameters by name, then its inputs, and settings by name.
Oracle = Callable[..., torch.Tensor]


def tensors_of(weights: dict) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array).clone() for name, array in weights.items()}


def gradients_by_argument(outputs, inputs, cotangents) -> dict[str, np.ndarray]:
    total = sum(
        (output * torch.from_numpy(cotangent)).sum()
        for output, cotangent in zip(outputs, cotangents, strict=True)
        if cotangent is not None
    )
    found = torch.autograd.grad(total, inputs)
    return {f"argument {n}": gradient.numpy() for n, gradient in enumerate(found)}


def given(*inputs) -> list:
    """Those inputs that are not None."""
    return [one for one in inputs if one is not None]


def values_of(oracle: Oracle, weights: dict, inputs: Sequence, **settings) -> np.ndarray:
    """What `oracle` computes, from arrays to an array."""
    with torch.no_grad():
        return oracle(tensors_of(weights), *map(torch.from_numpy, inputs), **settings).numpy()


def gradients_of(
    oracle: Oracle, weights: dict, inputs: Sequence, cotangent, **settings
) -> dict[str, np.ndarray]:
    """Gradients of inputs of floating point ("argument 0", …) and of every weight, by name."""
    given = [torch.from_numpy(array).clone() for array in inputs]
    wanted = {f"argument {n}": one for n, one in enumerate(given) if one.is_floating_point()}
    parameters = tensors_of(weights)
    wanted |= parameters
    for tensor in wanted.values():
        tensor.requires_grad_()
    output = oracle(parameters, *given, **settings)
    found = gradients_by_argument([output], list(wanted.values()), [cotangent])
    return dict(zip(wanted, found.values(), strict=True))
