"""Right ways to write lesson 4 that differ from ours."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.masking import masked_attention, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads

from . import variant

# --- split_heads -----------------------------------------------------------------------------


@variant("split_heads", title="the channels are cut into H pieces, which are stacked")
def split_heads_by_stacking(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide the {x.shape[-1]} channels.")
    return torch.stack(x.chunk(n_heads, dim=-1), dim=-3)


@variant("split_heads", title="reshape, then permute with the axes written out")
def split_heads_by_permuting(x, n_heads):
    *lead, n_tokens, d_model = x.shape
    d_head, rest = divmod(d_model, n_heads)
    if rest:
        raise ValueError(f"n_heads={n_heads} leaves {rest} of {d_model} channels over.")
    order = [*range(len(lead)), len(lead) + 1, len(lead), len(lead) + 2]
    return x.reshape(*lead, n_tokens, n_heads, d_head).permute(order).contiguous()


@variant("split_heads", title="einsum of a reshaped x")
def split_heads_by_einsum(x, n_heads):
    if not (x.size(-1) / n_heads).is_integer():
        raise ValueError(f"n_heads={n_heads} does not divide the {x.shape[-1]} channels.")
    return torch.einsum("...thd->...htd", x.view(*x.shape[:-1], n_heads, -1))


@variant("split_heads", title="written head by head into an empty tensor")
def split_heads_head_by_head(x, n_heads):
    *lead, n_tokens, d_model = x.shape
    if d_model // n_heads * n_heads != d_model:
        raise ValueError(f"n_heads={n_heads} does not divide the {d_model} channels.")
    d_head = d_model // n_heads
    heads = x.new_empty(*lead, n_heads, n_tokens, d_head)
    for h in range(n_heads):
        heads[..., h, :, :] = x[..., h * d_head : (h + 1) * d_head]
    return heads


# --- merge_heads -----------------------------------------------------------------------------


@variant("merge_heads", title="the heads are concatenated")
def merge_heads_by_concatenating(x):
    return torch.cat(x.unbind(dim=-3), dim=-1)


@variant("merge_heads", title="transpose, contiguous, view")
def merge_heads_by_a_view(x):
    *lead, n_heads, n_tokens, d_head = x.shape
    return x.transpose(-2, -3).contiguous().view(*lead, n_tokens, n_heads * d_head)


@variant("merge_heads", title="movedim and reshape to -1")
def merge_heads_by_moving(x):
    return x.movedim(-3, -2).reshape(*x.shape[:-3], x.shape[-2], -1)


# --- MultiHeadAttention ----------------------------------------------------------------------


@variant("MultiHeadAttention", title="torch's fused attention, told the mode")
class MultiHeadAttentionByTheFusedKernel(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.n_heads, self.p = n_heads, dropout
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)

    def forward(self, x, mask=None):
        n_texts, n_tokens, d_model = x.shape
        shape = (n_texts, n_tokens, 3, self.n_heads, d_model // self.n_heads)
        q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        some = None
        if mask is not None:
            mask = mask if mask.dim() == 2 else mask[:, None]
            some = mask.any(dim=-1, keepdim=True)
            mask = mask | ~some  # an empty row would be nan in older releases
        p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        y = y if some is None else y.masked_fill(~some, 0.0)
        y = self.out(y.transpose(1, 2).reshape(x.shape))
        return F.dropout(y, self.p, training=self.training)


@variant("MultiHeadAttention", title="a loop over the heads, each with its rows of the weights")
class MultiHeadAttentionHeadByHead(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.d_head = d_model // n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.drop_weights, self.drop_output = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x, mask=None):
        queries, keys, values = self.qkv(x).chunk(3, dim=-1)
        found = []
        for start in range(0, x.shape[-1], self.d_head):
            own = slice(start, start + self.d_head)
            q, k, v = queries[..., own], keys[..., own], values[..., own]
            _, weights = masked_attention(q, k, v, mask)  # (B, T, S) needs no head axis here
            found.append(self.drop_weights(weights) @ v)
        return self.drop_output(self.out(torch.cat(found, dim=-1)))


@variant("MultiHeadAttention", title="einsum over the weights of qkv, cut by head")
class MultiHeadAttentionByEinsum(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = dropout

    def forward(self, x, mask=None):
        weight = self.qkv.weight.view(3, self.n_heads, -1, x.shape[-1])
        qkv = torch.einsum("btc,nhdc->nbhtd", x, weight)
        if self.qkv.bias is not None:
            qkv = qkv + self.qkv.bias.view(3, 1, self.n_heads, 1, -1)
        q, k, v = qkv.unbind(0)
        scores = torch.einsum("bhtd,bhsd->bhts", q * q.shape[-1] ** -0.5, k)
        if mask is None:
            mask = torch.ones_like(scores, dtype=torch.bool)
        elif mask.dim() == 3:
            mask = mask.unsqueeze(1)
        weights = F.dropout(masked_softmax(scores, mask), self.dropout, self.training)
        y = torch.einsum("bhts,bhsd->bthd", weights, v).flatten(2)
        return F.dropout(self.out(y), self.dropout, self.training)


@variant("MultiHeadAttention", title="texts and heads share one axis, masks are repeated for it")
class MultiHeadAttentionOnOneAxis(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        n_texts = len(x)
        q, k, v = (
            split_heads(a, self.n_heads).flatten(0, 1)
            for a in self.qkv(x).split(x.shape[-1], dim=-1)
        )
        scores = torch.baddbmm(q.new_zeros(()), q, k.mT, alpha=1 / math.sqrt(q.shape[-1]))
        if mask is not None and mask.dim() == 3:
            mask = mask.expand(n_texts, -1, -1).repeat_interleave(self.n_heads, dim=0)
        weights = scores.softmax(dim=-1) if mask is None else masked_softmax(scores, mask)
        y = (self.dropout(weights) @ v).unflatten(0, (n_texts, self.n_heads))
        return self.dropout(self.out(merge_heads(y)))


@variant(
    "MultiHeadAttention", title="no mask kept apart: 0 and -inf are added; n_heads checked late"
)
class MultiHeadAttentionByAddition(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        self.n_heads, self.d_model = n_heads, d_model
        self.out = nn.Linear(d_model, d_model, bias)
        self.dropout = nn.Dropout(dropout)
        self.qkv = nn.Linear(d_model, d_model * 3, bias)

    def forward(self, x, mask=None):
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} does not divide d_model={self.d_model}.")
        q, k, v = split_heads(self.qkv(x), 3 * self.n_heads).chunk(3, dim=-3)
        scores = (q / q.shape[-1] ** 0.25) @ (k / k.shape[-1] ** 0.25).mT
        keep = 1.0
        if mask is not None:
            mask = mask[:, None] if mask.ndim == 3 else mask[None, None]
            keep = mask.any(dim=-1, keepdim=True)
            hidden = ~mask & keep
            scores = scores + torch.zeros_like(hidden, dtype=x.dtype).masked_fill(
                hidden, -torch.inf
            )
        weights = self.dropout(scores.softmax(dim=-1) * keep)
        y = (weights @ v).permute(0, 2, 1, 3).reshape(x.size())
        return self.dropout(self.out(y))
