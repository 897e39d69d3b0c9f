"""Generation at full speed: the model's logits for the last position, token after token.

`generate_cached` of lesson 9 shows how it works; this does the same with as little as possible
around the products: caches taken once, the head for one position only, no mask where one query
sees all keys, and on a CPU a copy of the weights in the order in which products of a few rows read
them.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.transformer.cache import KVCache
from course_lib.transformer.model import GPT
from course_lib.transformer.multihead import merge_heads, split_heads
from course_lib.transformer.shapes import Float, Int

from .fused import causal_attention


class Decoder:
    """A model with its caches, fed from left to right.

    Args:
        model: in evaluation mode. On a CPU its weights are copied as they are now.
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
        self._linears = {part: _packed(part) for part in model.modules() if type(part) is nn.Linear}
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
            up = self._linears[block.mlp.up](_norm(block.norm2, x))
            up = F.gelu(up, approximate=block.mlp.approximate)
            x = x + self._linears[block.mlp.down](up)
        return self._linears[model.head](_norm(model.norm, x[:, -1:]))[:, 0]

    def reset(self) -> None:
        """Begin a new text in the same memory."""
        for cache in self.caches:
            cache.reset()

    def _attend(self, attention, x: Float[Tensor, "B T C"], cache) -> Float[Tensor, "B T C"]:
        parts = self._linears[attention.qkv](x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, attention.n_heads) for part in parts)
        n_before, n_new = cache.length, q.shape[-2]
        keys, values = cache.append(k, v)
        if n_before == 0:
            gathered = causal_attention(q, k, v)
        else:
            mask = None  # one query sees all keys
            if n_new > 1:
                whole = torch.ones(n_new, n_before + n_new, dtype=torch.bool, device=q.device)
                mask = whole.tril(n_before)
            gathered = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        return self._linears[attention.out](merge_heads(gathered))


def _norm(norm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _packed(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    """The same function, its weight ordered beforehand as oneDNN's products want it.

    Unordered, a product of one row leaves cores and most of the memory's speed unused. The two
    operators are those that `torch.compile` calls; where they are missing it is the layer itself.
    """
    weight, bias, mkldnn = layer.weight.detach(), layer.bias, torch.ops.mkldnn
    can = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    if can and weight.dtype == torch.bfloat16:
        can = mkldnn._is_mkldnn_bf16_supported()
    elif weight.dtype != torch.float32:
        can = False
    if not can or not hasattr(mkldnn, "_reorder_linear_weight"):
        return layer
    ordered = mkldnn._reorder_linear_weight(weight)
    return lambda x: mkldnn._linear_pointwise(x, ordered, bias, "none", [], "")
