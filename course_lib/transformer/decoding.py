"""Generation at full speed: the model's logits for the last position, token after token.

`generate_cached` of lesson 9 shows how it works; this does the same with as little as possible
around the products: caches taken once, the head for one position only, no mask where one query
sees all keys, and for a single row matrix-vector products, which use every core where a product
with a one-row matrix uses one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cache import KVCache
from .model import GPT
from .multihead import merge_heads, split_heads
from .shapes import Float, Int


class Decoder:
    """A model with its caches, fed from left to right.

    Args:
        model: in evaluation mode.
        capacity: the most positions it will be fed; at most the model's `context_length`.

    Raises:
        ValueError: `capacity` is more than the context.
    """

    def __init__(self, model: GPT, batch_size: int, capacity: int):
        config, weight = model.config, model.head.weight
        if capacity > config.context_length:
            raise ValueError(
                f"capacity must fit the context, got capacity={capacity} "
                f"and context_length={config.context_length}."
            )
        self.model = model
        sizes = (batch_size, config.n_heads, capacity, config.d_model // config.n_heads)
        self.caches = [
            KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks
        ]

    @torch.inference_mode()
    def feed(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The logits that follow `ids`, which go on where the last ones ended."""
        model = self.model
        x = model.embeddings(ids, self.caches[0].length)
        for block, cache in zip(model.blocks, self.caches, strict=True):
            x = x + self._attend(block.attention, _norm(block.norm1, x), cache)
            up = _linear(block.mlp.up, _norm(block.norm2, x))
            x = x + _linear(block.mlp.down, F.gelu(up, approximate=block.mlp.approximate))
        return _linear(model.head, _norm(model.norm, x[:, -1:]))[:, 0]

    def reset(self) -> None:
        """Begin a new text in the same memory."""
        for cache in self.caches:
            cache.reset()

    def _attend(self, attention, x: Float[Tensor, "B T C"], cache) -> Float[Tensor, "B T C"]:
        parts = _linear(attention.qkv, x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, attention.n_heads) for part in parts)
        n_before, n_new = cache.length, q.shape[-2]
        keys, values = cache.append(k, v)
        mask = None
        if n_before and n_new > 1:
            whole = torch.ones(n_new, n_before + n_new, dtype=torch.bool, device=q.device)
            mask = whole.tril(n_before)
        gathered = F.scaled_dot_product_attention(
            q, keys, values, attn_mask=mask, is_causal=n_before == 0 and n_new > 1
        )
        return _linear(attention.out, merge_heads(gathered))


def _norm(norm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _linear(layer: nn.Linear, x: Float[Tensor, "B T C"]) -> Tensor:
    if x.device.type == "cpu" and x.shape[0] == x.shape[1] == 1:
        y = torch.mv(layer.weight, x[0, 0])
        return (y if layer.bias is None else y + layer.bias)[None, None]
    return F.linear(x, layer.weight, layer.bias)
