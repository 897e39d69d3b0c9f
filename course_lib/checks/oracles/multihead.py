"""Right answers for lesson 4, by the function behind torch's `nn.MultiheadAttention`."""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import given, values_of


def multi_head(x, weights: dict, n_heads: int, mask=None) -> np.ndarray:
    """Multi-head self-attention with the weights of `.qkv` and `.out`; biases may be missing."""
    return values_of(multi_head_of, weights, [x, *given(mask)], n_heads=n_heads)


def multi_head_of(parameters: dict, x, mask=None, *, n_heads: int) -> torch.Tensor:
    """The same, of tensors; in torch's own, True in a mask means may *not* attend."""
    n_texts, n_tokens, d_model = x.shape
    hidden, some = None, torch.ones(n_texts, n_tokens, 1, dtype=torch.bool)
    if mask is not None:
        allowed = mask.expand(n_texts, n_tokens, n_tokens)
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
