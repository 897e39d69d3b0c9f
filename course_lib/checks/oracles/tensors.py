"""From arrays to tensors, and from tensors to gradients by the names that an observation has."""

import numpy as np
import torch


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
