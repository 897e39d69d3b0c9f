"""Lesson 9: the KV cache, which keeps what generation would compute again at every step."""

import torch
from torch import Tensor, nn

from .generation import _check_prompt, sample
from .masking import causal_mask, masked_attention
from .multihead import merge_heads, split_heads
from .shapes import Float, Int
from .training import _evaluating


class KVCache:
    """The keys and values of all positions so far, for one attention layer.

    Memory is taken once, for `capacity` positions; `.length` says how many
    it holds. It is for inference: no gradients need flow through it.

    Args:
        capacity: the most positions it can hold.
        dtype: of keys and values; None is torch's default, as
            `torch.set_default_dtype` leaves it.

    Source: Pope et al., "Efficiently Scaling Transformer Inference" (2023),
        section 2.1.
    """

    def __init__(
        self,
        batch_size: int,
        n_heads: int,
        capacity: int,
        d_head: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        shape = (batch_size, n_heads, capacity, d_head)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def append(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """The keys and values of all positions, the new ones last.

        They are views into the cache's memory, which hold until `reset`.

        Raises:
            ValueError: more positions than `capacity`; the cache is as
                before.
        """
        end = self.length + k.shape[-2]
        if end > self.capacity:
            raise ValueError(
                f"the cache must have room for all positions, got {end} "
                f"and capacity={self.capacity}."
            )
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self) -> None:
        """Forget all positions, and keep the memory."""
        self.length = 0


def cached_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H T D"],
    v: Float[Tensor, "B H T D"],
    cache: KVCache,
) -> Float[Tensor, "B H T D"]:
    """What new positions gather from themselves and from all that the cache
    holds.

    Their keys and values are appended first. The new positions come after
    the old ones, so each sees all of these and, of the new ones, those up
    to itself. However a text is cut into pieces, they give together what
    the whole would give.

    Raises:
        ValueError: the cache is full; it comes from `append`.
    """
    keys, values = cache.append(k, v)
    mask = causal_mask(q.shape[-2], keys.shape[-2], device=q.device)
    output, _ = masked_attention(q, keys, values, mask)
    return output


def cached_logits(
    model: nn.Module, ids: Int[Tensor, "B T"], caches: list[KVCache]
) -> Float[Tensor, "B T V"]:
    """The logits of new tokens alone, which go on where the caches end.

    For a model in evaluation mode, they equal the last T rows of its logits
    over everything fed so far. Only the new tokens go through the model;
    their first position is `caches[0].length`. It stays in the mode it is
    in.

    Args:
        caches: one for each block.

    Raises:
        ValueError: the caches are full; it comes from `append`.
    """
    x = model.embeddings(ids, caches[0].length)
    for block, cache in zip(model.blocks, caches, strict=True):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (
            split_heads(part, model.config.n_heads) for part in parts
        )
        gathered = merge_heads(cached_attention(q, k, v, cache))
        x = x + block.attention.out(gathered)
        x = x + block.mlp(block.norm2(x))
    return model.head(model.norm(x))


def generate_cached(
    model: nn.Module, ids: Int[Tensor, "B T"], n_new: int, **sampling
) -> Int[Tensor, "B T_plus_n_new"]:
    """What `generate` returns, with each position computed once.

    The prompt goes through the model first, then one token a step. The same
    tokens come out in float64 and float32, unless two are almost equally
    likely; in half precision that happens often.

    The model is in evaluation mode and without gradients meanwhile, and
    afterwards each part is in the mode it was in, also after an error.

    Args:
        sampling: what `sample` takes.

    Raises:
        ValueError: an empty prompt, a negative `n_new`, or more tokens in
            all than `context_length`: the cached positions cannot be
            renumbered.
    """
    _check_prompt(ids, n_new)
    config, n_tokens = model.config, ids.shape[1] + n_new
    if n_tokens > config.context_length:
        raise ValueError(
            "prompt and new tokens must fit the context, "
            f"got {ids.shape[1]} tokens, "
            f"n_new={n_new} and context_length={config.context_length}."
        )
    weight = model.head.weight
    d_head = config.d_model // config.n_heads
    sizes = len(ids), config.n_heads, n_tokens, d_head
    caches = [
        KVCache(*sizes, dtype=weight.dtype, device=weight.device)
        for _ in model.blocks
    ]
    new = ids
    ids = ids.clone()  # the prompt stays the caller's own
    with _evaluating(model):
        for _ in range(n_new):
            # the prompt first, then token by token
            logits = cached_logits(model, new, caches)
            new = sample(logits[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids
