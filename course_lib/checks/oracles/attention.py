"""Right answers for lesson 2, by torch's own functions in float64; with a mask, for lesson 3.

Weights come from `scaled_dot_product_attention` as well: attention over an identity matrix
of values returns the weights themselves.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import gradients_by_argument, tensors_of


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """torch's softmax along `axis`."""
    return torch.softmax(torch.from_numpy(x), dim=axis).numpy()


def attention(q, k, v, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """`(output, weights)`; rows with nothing to attend to are zeros."""
    output, weights = _attention(*map(torch.from_numpy, (q, k, v)), mask)
    return output.numpy(), weights.numpy()


def gathered(q, k, v, mask=None) -> np.ndarray:
    """The output alone: thousands of keys make a large identity matrix."""
    return _gathered(*map(torch.from_numpy, (q, k, v)), mask).numpy()


def attention_gradients(q, k, v, cotangents, mask=None) -> dict[str, np.ndarray]:
    """Gradients of the sum of output and weights, each times its cotangent."""
    tensors = [torch.from_numpy(a).requires_grad_() for a in (q, k, v)]
    return gradients_by_argument(_attention(*tensors, mask), tensors, cotangents)


def self_attention(x, weights: dict, *, causal: bool) -> np.ndarray:
    """One head over `x`, with linear layers given by their weights."""
    return _self_attention(torch.from_numpy(x), tensors_of(weights), causal).numpy()


def self_attention_gradients(x, weights, cotangent, *, causal: bool) -> dict[str, np.ndarray]:
    """Gradients of `x` ("argument 0") and of every weight, by name."""
    tensor = torch.from_numpy(x).requires_grad_()
    parameters = {name: p.requires_grad_() for name, p in tensors_of(weights).items()}
    output = _self_attention(tensor, parameters, causal)
    found = gradients_by_argument([output], [tensor, *parameters.values()], [cotangent])
    return dict(zip(["argument 0", *parameters], found.values(), strict=True))


def _attention(q, k, v, mask):
    identity = torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], k.shape[-2])
    return _gathered(q, k, v, mask), _gathered(q, k, identity, mask)


def _gathered(q, k, values, mask):
    if mask is None:
        return F.scaled_dot_product_attention(q, k, values)
    allowed = torch.from_numpy(mask)
    some = allowed.any(dim=-1, keepdim=True)
    gathered = F.scaled_dot_product_attention(q, k, values, attn_mask=allowed | ~some)
    return torch.where(some, gathered, 0.0)


def _self_attention(x, parameters, causal):
    q, k, v = (F.linear(x, parameters[f"{name}.weight"]) for name in ("query", "key", "value"))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
