"""What is right in lesson 11: by complex numbers, by hand, by torch's fused attention, in float64.

Nothing here is the course's.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .tensors import given, values_of


def waves(n_positions: int, d_model: int) -> np.ndarray:
    """Sine and cosine as the two parts of exp(i·angle), side by side."""
    turns = np.exp(1j * _angles(np.arange(n_positions), d_model, 10000.0))
    return np.stack([turns.imag, turns.real], axis=-1).reshape(n_positions, d_model)


def rotate(x: np.ndarray, positions: np.ndarray, base: float = 10000.0) -> np.ndarray:
    """Every pair of channels is a complex number; turning it is one product."""
    pairs = x[..., 0::2] + 1j * x[..., 1::2]
    turned = pairs * np.exp(1j * _angles(positions, x.shape[-1], base))
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def _angles(positions, width: int, base: float) -> np.ndarray:
    return np.outer(positions, base ** (-np.arange(0, width, 2) / width))


def causal(n_queries: int, n_keys: int) -> np.ndarray:
    """NumPy's lower triangle, shifted so that the last query sees the last key."""
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


def sliding_window(n_queries: int, n_keys: int, window: int) -> np.ndarray:
    """One triangle minus another, `window` further to the left."""
    offset = n_keys - n_queries
    return causal(n_queries, n_keys) & ~np.tri(n_queries, n_keys, offset - window, dtype=bool)


def square_attention(q, k, v, *, causal: bool) -> np.ndarray:
    """torch's fused attention, with as many keys as queries; quick for long texts too."""
    tensors = map(torch.from_numpy, (q, k, v))
    return F.scaled_dot_product_attention(*tensors, is_causal=causal).numpy()


def grouped_query(x, weights: dict, n_heads: int, n_kv_heads: int, mask=None) -> np.ndarray:
    """Grouped-query attention head by head; biases may be missing."""
    heads = {"n_heads": n_heads, "n_kv_heads": n_kv_heads}
    return values_of(grouped_query_of, weights, [x, *given(mask)], **heads)


def grouped_query_of(
    parameters: dict, x, mask=None, *, n_heads: int, n_kv_heads: int
) -> torch.Tensor:
    """The same, of tensors."""

    def linear(name, inputs):
        return F.linear(inputs, parameters[f"{name}.weight"], parameters.get(f"{name}.bias"))

    n_tokens = x.shape[1]
    allowed = torch.ones(n_tokens, n_tokens, dtype=torch.bool)
    if mask is not None:
        allowed = mask
    some = allowed.any(dim=-1, keepdim=True)
    queries = linear("query", x).chunk(n_heads, dim=-1)
    keys, values = (linear(name, x).chunk(n_kv_heads, dim=-1) for name in ("key", "value"))
    heads_a_group = n_heads // n_kv_heads
    found = []
    for group in range(n_kv_heads):
        for q in queries[group * heads_a_group : (group + 1) * heads_a_group]:
            head = F.scaled_dot_product_attention(
                q, keys[group], values[group], attn_mask=allowed | ~some
            )
            found.append(torch.where(some, head, 0.0))
    return linear("out", torch.cat(found, dim=-1))
