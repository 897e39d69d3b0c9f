"""Right answers for lesson 4, by the function behind torch's `nn.MultiheadAttention`."""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import gradients_by_argument, tensors_of


def multi_head(x, weights: dict, n_heads: int, mask=None) -> np.ndarray:
    """Multi-head self-attention with the weights of `.qkv` and `.out`; biases may be missing."""
    return _multi_head(torch.from_numpy(x), tensors_of(weights), n_heads, mask).numpy()


def multi_head_gradients(x, weights, n_heads, cotangent, mask=None) -> dict[str, np.ndarray]:
    """Gradients of `x` ("argument 0") and of every weight, by name."""
    tensor = torch.from_numpy(x).requires_grad_()
    parameters = {name: p.requires_grad_() for name, p in tensors_of(weights).items()}
    output = _multi_head(tensor, parameters, n_heads, mask)
    found = gradients_by_argument([output], [tensor, *parameters.values()], [cotangent])
    return dict(zip(["argument 0", *parameters], found.values(), strict=True))


def _multi_head(x, parameters, n_heads: int, mask):
    """What `nn.MultiheadAttention` computes; there, True in a mask means may *not* attend."""
    n_texts, n_tokens, d_model = x.shape
    hidden, some = None, torch.ones(n_texts, n_tokens, 1, dtype=torch.bool)
    if mask is not None:
        allowed = torch.from_numpy(mask).expand(n_texts, n_tokens, n_tokens)
        some = allowed.any(dim=-1, keepdim=True)
        hidden = ~(allowed | ~some).repeat_interleave(n_heads, dim=0)  # one for each text and head
    by_position = x.transpose(0, 1)
    out_bias = parameters.get("out.bias", x.new_zeros(d_model))
    output, _ = F.multi_head_attention_forward(
        *[by_position] * 3,
        embed_dim_to_check=d_model,
        num_heads=n_heads,
        in_proj_weight=parameters["qkv.weight"],
        in_proj_bias=parameters.get("qkv.bias"),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=parameters["out.weight"],
        out_proj_bias=out_bias,
        training=False,
        attn_mask=hidden,
    )
    return torch.where(some, output.transpose(0, 1), out_bias)
