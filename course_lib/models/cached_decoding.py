"""Generation with a package's own cache, behind the interface of our `Decoder`."""

from collections.abc import Callable

import torch
from torch import Tensor


class CachedDecoder:
    """`Decoder`, made of a package's `KVCache` and `cached_logits`."""

    def __init__(
        self, model, make_cache: Callable, cached_logits: Callable, n_rows: int, n_positions: int
    ):
        config, weight = model.config, model.head.weight
        sizes = (n_rows, config.n_heads, n_positions, config.d_model // config.n_heads)
        self.model = model
        self.caches = [
            make_cache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks
        ]
        self._logits = cached_logits

    @torch.no_grad()
    def feed(self, ids: Tensor) -> Tensor:
        """The logits that follow `ids`, which go on where the last ones ended."""
        return self._logits(self.model, ids, self.caches)[:, -1]

    def reset(self) -> None:
        """Begin a new text in the same memory."""
        for cache in self.caches:
            cache.reset()
