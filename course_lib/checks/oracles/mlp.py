"""What the right answer is in lesson 6: GELU and MLP by torch's own functions, in float64."""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import gradients_by_argument, values_of


def gelu(x, approximate: str = "none") -> np.ndarray:
    """torch's GELU."""
    return F.gelu(torch.from_numpy(x), approximate=approximate).numpy()


def gelu_gradients(x, cotangent, approximate: str = "none") -> dict[str, np.ndarray]:
    """The gradient of `x` ("argument 0")."""
    point = torch.from_numpy(x).requires_grad_()
    output = F.gelu(point, approximate=approximate)
    return gradients_by_argument([output], [point], [cotangent])


def mlp(x, weights: dict, approximate: str = "none") -> np.ndarray:
    """Linear, GELU, linear, with the weights of `.up` and `.down`; biases may be missing."""
    return values_of(mlp_of, weights, [x], approximate=approximate)


def mlp_of(parameters: dict, x, *, approximate: str = "none") -> torch.Tensor:
    """The same, of tensors."""
    hidden = F.linear(x, parameters["up.weight"], parameters.get("up.bias"))
    hidden = F.gelu(hidden, approximate=approximate)
    return F.linear(hidden, parameters["down.weight"], parameters.get("down.bias"))
