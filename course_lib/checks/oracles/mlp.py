"""What the right answer is in lesson 6: GELU and MLP by torch's own functions, in float64."""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import tensors_of


def gelu(x, approximate: str = "none") -> np.ndarray:
    """torch's GELU."""
    return F.gelu(torch.from_numpy(x), approximate=approximate).numpy()


def gelu_gradients(x, cotangent, approximate: str = "none") -> dict[str, np.ndarray]:
    """The gradient of `x` ("argument 0")."""
    point = torch.from_numpy(x).requires_grad_()
    output = F.gelu(point, approximate=approximate)
    return _gradients(output, cotangent, {"argument 0": point})


def mlp(x, weights: dict, approximate: str = "none") -> np.ndarray:
    """Linear, GELU, linear, with the weights of `.up` and `.down`; biases may be missing."""
    return _mlp(torch.from_numpy(x), tensors_of(weights), approximate).numpy()


def mlp_gradients(x, weights, cotangent, approximate: str = "none") -> dict[str, np.ndarray]:
    """Gradients of `x` ("argument 0") and of every weight, by name."""
    point = torch.from_numpy(x).requires_grad_()
    parameters = {name: p.requires_grad_() for name, p in tensors_of(weights).items()}
    output = _mlp(point, parameters, approximate)
    return _gradients(output, cotangent, {"argument 0": point} | parameters)


def _mlp(x, parameters, approximate):
    hidden = F.linear(x, parameters["up.weight"], parameters.get("up.bias"))
    hidden = F.gelu(hidden, approximate=approximate)
    return F.linear(hidden, parameters["down.weight"], parameters.get("down.bias"))


def _gradients(output, cotangent, inputs: dict) -> dict[str, np.ndarray]:
    total = (output * torch.from_numpy(cotangent)).sum()
    found = torch.autograd.grad(total, list(inputs.values()))
    return {name: gradient.numpy() for name, gradient in zip(inputs, found, strict=True)}
