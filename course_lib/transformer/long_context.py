"""Lesson 11: what long texts cost, and what people do about it."""

import math

import torch
from torch import Tensor, nn

from .masking import causal_mask, masked_attention
from .multihead import merge_heads, split_heads
from .shapes import Bool, Float, Int


def attention_flops(n_tokens: int, d_model: int) -> int:
    """The operations of one layer's scores and weighted sums: 4·T²·C.

    A multiply-add counts as two. The linear layers before and after are not
    in it.
    """
    return 4 * n_tokens**2 * d_model


def attention_bytes(
    n_tokens: int, n_heads: int, bytes_per_element: int
) -> int:
    """The memory that the T×T weights of all heads of one layer take for
    one text.
    """
    return n_heads * n_tokens**2 * bytes_per_element


def kv_cache_bytes(
    *,
    n_layers: int,
    n_kv_heads: int,
    d_head: int,
    n_tokens: int,
    bytes_per_element: int,
    batch_size: int = 1,
) -> int:
    """The memory that the cached keys and values of all layers take."""
    n_elements = batch_size * n_layers * n_kv_heads * n_tokens * d_head
    return 2 * n_elements * bytes_per_element  # keys and values


def sinusoidal_positions(
    n_positions: int, d_model: int
) -> Float[Tensor, "P C"]:
    """A vector for each position, made of waves from short to long, in
    float32.

    Channel 2i holds sin(p / 10000^(2i/C)), channel 2i + 1 the cosine of the
    same; C is even. The angles are taken in float64: in float32 those of
    far positions are off.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.5.
    """
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    # (P, C/2)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (P, C/2, 2)
    return waves.flatten(1).float()


def rotate(
    x: Float[Tensor, "... T D"],
    positions: Int[Tensor, " T"],
    base: float = 10000.0,
) -> Float[Tensor, "... T D"]:
    """`x` with every pair of channels turned by an angle that grows with
    the position (RoPE).

    The pair (a, b) of channels 2i and 2i + 1 turns by the angle
    position · base^(-2i/D): it becomes (a cos - b sin, a sin + b cos). Row
    t turns by `positions[t]`. Then the dot product of a query and a key
    depends on how far apart they stand, not on where.

    The angles are taken in float64, whatever the dtype of `x`: in float32
    those of far positions are off. Positions are of any integer type.

    Raises:
        ValueError: an odd number of channels.

    Source: Su et al., "RoFormer" (2021), section 3.2.2.
    """
    d_head = x.shape[-1]
    if d_head % 2 != 0:
        raise ValueError(
            f"x must have an even number of channels, got D={d_head}."
        )
    exponents = (
        torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device)
        / d_head
    )
    angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    # (..., T, D/2, 2)
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)


def sliding_window_mask(
    n_queries: int, n_keys: int | None = None, *, window: int, device=None
) -> Bool[Tensor, "T S"]:
    """Which keys each query may attend to: its own and the `window - 1`
    before it.

    The queries are the last of the keys, as in `causal_mask`.

    Raises:
        ValueError: `window` is less than 1, or `n_keys` is smaller than
            `n_queries`.

    Source: Beltagy et al., "Longformer" (2020), section 3.1.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    n_before = causal.shape[1] - n_queries
    return causal & causal.new_ones(causal.shape).triu(
        n_before - window + 1
    )


def blockwise_attention(
    q: Float[Tensor, "... T D"],
    k: Float[Tensor, "... S D"],
    v: Float[Tensor, "... S E"],
    *,
    block_size: int,
    causal: bool = False,
) -> Float[Tensor, "... T E"]:
    """The output of `masked_attention`, with never more than `block_size`
    keys in hand at a time.

    For every query it keeps the highest score so far, the sum of the
    exponentials, and the sum of the values they weigh. When a higher score
    turns up, both sums shrink to fit it. Both are kept in float32 or wider.
    On the way forward no `(T, S)` table is ever in memory.

    Write it block by block: `F.scaled_dot_product_attention` is what you
    are building.

    Args:
        causal: align queries and keys as `causal_mask` does.

    Raises:
        ValueError: `block_size` is less than 1, or `causal` with more
            queries than keys.

    Source: Milakov and Gimelshein, "Online normalizer calculation for
        softmax" (2018); Dao et al., "FlashAttention" (2022), section 3.1.
    """
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(
            f"block_size must be at least 1, got block_size={block_size}."
        )
    if causal and n_queries > n_keys:
        raise ValueError(
            f"causal needs T <= S, got T={n_queries} and S={n_keys}."
        )
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[
        :, None
    ]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)  # (..., T, 1)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(
                start, start + scores.shape[-1], device=q.device
            )
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(
            highest, scores.amax(dim=-1, keepdim=True)
        )
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


class GroupedQueryAttention(nn.Module):
    """Multi-head attention in which several query heads share one head of
    keys and values.

    Query head h uses key head h // (n_heads // n_kv_heads): the cache
    becomes that much smaller. `.query` and `.out` are each an `nn.Linear`
    from C to C, `.key` and `.value` from C to n_kv_heads·D. With as many
    key heads as query heads it is multi-head attention.

    Args:
        bias: whether the four layers have one.

    Raises:
        ValueError: `n_heads` does not divide `d_model`, or `n_kv_heads`
            does not divide `n_heads`.

    Source: Ainslie et al., "GQA" (2023), section 2.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(
                "n_heads must divide d_model, "
                f"got n_heads={n_heads} and d_model={d_model}."
            )
        if n_heads % n_kv_heads != 0:
            raise ValueError(
                "n_kv_heads must divide n_heads, "
                f"got n_kv_heads={n_kv_heads} "
                f"and n_heads={n_heads}."
            )
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = n_kv_heads * (d_model // n_heads)
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """What each position gathers; `mask` as in `MultiHeadAttention`."""
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(
            group, dim=-3
        )
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(
            group, dim=-3
        )
        if mask is not None:
            mask = mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))
