"""What caching must give, by torch's own functions in float64: what recomputing everything gives.

Models are `ReferenceGPT`s. With weights that change on the way, the keys and values of earlier
positions stay what they were: `Decoder` keeps them, in tensors of its own.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..observe.lent.growing import build_model, roll_weights


def attention_of_the_last(q, keys, values) -> np.ndarray:
    """Causal attention of queries that are the last of the keys' positions."""
    return _attend(*map(torch.from_numpy, (q, keys, values))).numpy()


def _attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    n_queries, n_keys = q.shape[-2], keys.shape[-2]
    allowed = torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=allowed)


class Recomputing:
    """A model that computes everything again for every text, in float64.

    Args:
        dtype: what its weights were rounded to before.
    """

    def __init__(self, spec: dict, dtype: str = "float64"):
        self.spec, self.dtype = spec, dtype
        self.model = build_model(spec, getattr(torch, dtype)).double()

    @torch.no_grad()
    def logits(self, ids: np.ndarray, *, again: bool = False) -> np.ndarray:
        """The logits at every position, `(B, T, V)`.

        Args:
            again: the model counts this text's positions on from the last one's, and so answers
                as it would to somebody who computes everything again.
        """
        if not again:
            self.model.embeddings.token.n_seen = 0
        return self.model(torch.from_numpy(ids)).numpy()

    def greedy(self, ids: np.ndarray, n_new: int, *, again=False) -> tuple[np.ndarray, float]:
        """The text with its likeliest continuation, and how narrow the narrowest choice was."""
        narrowest = np.inf
        for step in range(n_new):
            last = self.logits(ids, again=again and step > 0)[:, -1]
            second, first = np.sort(last, axis=-1)[:, -2:].T
            narrowest = min(narrowest, (first - second).min())
            ids = np.concatenate([ids, last.argmax(axis=-1)[:, None]], axis=1)
        return ids, float(narrowest)

    def refilled(self, text: np.ndarray, end: int) -> int:
        """The token at `end` of one text, if all before it is computed once more."""
        self.model.embeddings.token.n_seen = end - 1
        return int(self.logits(text[:, :end], again=True)[0, -1].argmax())

    def roll_weights(self) -> None:
        """The change that the observer makes to its model, too."""
        roll_weights(self.model)


class Decoder:
    """A model that keeps the keys and values of each block, while its weights may change."""

    def __init__(self, spec: dict):
        self.model = build_model(spec)
        self.kept: list[Sequence[Tensor]] = []

    @torch.no_grad()
    def feed(self, ids: np.ndarray) -> np.ndarray:
        """The logits of new tokens."""
        start = self.kept[0][0].shape[-2] if self.kept else 0
        x, kept = self.model.embeddings(torch.from_numpy(ids), start), []
        for n, block in enumerate(self.model.blocks):
            heads = block.attention.qkv(block.norm1(x)).unflatten(
                -1, (3, block.attention.n_heads, -1)
            )
            q, k, v = heads.movedim(-3, 0).transpose(-3, -2)  # (B, T, 3, H, D) -> 3 (B, H, T, D)
            if self.kept:
                k, v = (torch.cat(pair, dim=-2) for pair in zip(self.kept[n], (k, v), strict=True))
            kept.append((k, v))
            x = x + block.attention.out(_attend(q, k, v).transpose(-3, -2).flatten(-2))
            x = x + block.mlp(block.norm2(x))
        self.kept = kept
        return self.model.head(self.model.norm(x)).numpy()

    def roll_weights(self) -> None:
        """The change that the observer makes to its model, too."""
        roll_weights(self.model)
