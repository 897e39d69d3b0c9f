"""Right ways to write lesson 3 that differ from ours."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import SelfAttention
from course_lib.transformer.masking import masked_softmax

from . import variant

# --- causal_mask -----------------------------------------------------------------------------


@variant("causal_mask", title="tril, its diagonal moved by the number of cached keys")
def causal_mask_by_tril(n_queries, n_keys=None, *, device=None):
    n_cached = 0 if n_keys is None else n_keys - n_queries
    if n_cached < 0:
        raise ValueError(f"n_keys={n_keys} is too small for n_queries={n_queries}.")
    mask = torch.ones(n_queries, n_queries + n_cached, dtype=torch.bool, device=device)
    return torch.tril(mask, diagonal=n_cached)


@variant("causal_mask", title="triu of ones == 0")
def causal_mask_by_triu(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is too small for n_queries={n_queries}.")
    future = torch.triu(torch.ones(n_queries, n_keys, device=device), n_keys - n_queries + 1)
    return future == 0


@variant("causal_mask", title="a square mask, padded with True on the left")
def causal_mask_by_padding(n_queries, n_keys=None, *, device=None):
    if n_keys is None:
        n_keys = n_queries
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is too small for n_queries={n_queries}.")
    square = torch.ones(n_queries, n_queries, device=device).tril().bool()
    return F.pad(square, (n_keys - n_queries, 0), value=True)


@variant("causal_mask", title="the last rows of the square mask of all the keys")
def causal_mask_by_last_rows(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is too small for n_queries={n_queries}.")
    positions = torch.arange(n_keys, device=device)
    return (positions[:, None] - positions[None, :] >= 0)[-n_queries:]


@variant("causal_mask", title="written row by row into zeros")
def causal_mask_row_by_row(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys={n_keys} is too small for n_queries={n_queries}.")
    mask = torch.zeros(n_queries, n_keys, dtype=torch.bool, device=device)
    for t in range(n_queries):
        mask[t, : n_keys - n_queries + t + 1] = True
    return mask


# --- padding_mask ----------------------------------------------------------------------------


@variant("padding_mask", title="written text by text into zeros")
def padding_mask_text_by_text(lengths, n_keys):
    mask = torch.zeros(len(lengths), 1, n_keys, dtype=torch.bool, device=lengths.device)
    for text, length in enumerate(lengths.tolist()):
        if not 0 <= length <= n_keys:
            raise ValueError(f"lengths must lie in 0..{n_keys}, got lengths[{text}]={length}.")
        mask[text, 0, :length] = True
    return mask


@variant("padding_mask", title="ones are counted up to the length")
def padding_mask_by_counting(lengths, n_keys):
    lengths = lengths.to(torch.int64)
    if lengths.min() < 0 or lengths.max() > n_keys:
        raise ValueError(f"n_keys={n_keys} does not allow lengths={lengths.tolist()}.")
    ones = torch.ones(lengths.shape[0], n_keys, dtype=torch.int64, device=lengths.device)
    return (ones.cumsum(dim=1) <= lengths.unsqueeze(1)).unsqueeze(1)


@variant("padding_mask", title="the padding is marked, then turned around")
def padding_mask_by_its_opposite(lengths, n_keys):
    lengths = lengths.long()
    if ((lengths > n_keys) | (lengths < 0)).any():
        raise ValueError(f"n_keys={n_keys} does not allow lengths={lengths.tolist()}.")
    padding = torch.arange(n_keys, device=lengths.device)[None, None, :] >= lengths.view(-1, 1, 1)
    return torch.logical_not(padding)


# --- masked_softmax --------------------------------------------------------------------------


@variant("masked_softmax", title="by hand: visible maximum, exp, renormalised")
def masked_softmax_by_hand(scores, mask):
    lowest = torch.finfo(scores.dtype).min
    largest = scores.masked_fill(~mask, lowest).amax(dim=-1, keepdim=True).detach()
    exponentials = (scores - largest).masked_fill(~mask, -math.inf).exp()
    total = exponentials.sum(dim=-1, keepdim=True)  # at least 1 unless the row is empty
    return exponentials / total.clamp(min=1.0)


@variant("masked_softmax", title="-inf by masked_fill, then the nan of empty rows replaced")
def masked_softmax_by_infinity(scores, mask):
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return torch.where(mask.any(dim=-1, keepdim=True), weights, 0.0)


@variant("masked_softmax", title="an additive mask of -inf, empty rows left out of it")
def masked_softmax_by_addition(scores, mask):
    hidden = ~mask & mask.any(dim=-1, keepdim=True)
    bias = torch.zeros_like(hidden, dtype=scores.dtype).masked_fill(hidden, -math.inf)
    return torch.softmax(scores + bias, dim=-1) * mask


@variant("masked_softmax", title="-1e9 in float32 or wider, and back to the scores' dtype")
def masked_softmax_by_a_billion(scores, mask):
    wide = scores.double() if scores.dtype == torch.float64 else scores.float()
    weights = torch.where(mask, wide, -1e9).softmax(dim=-1)
    return torch.where(mask, weights, 0.0).to(scores.dtype)


# --- masked_attention ------------------------------------------------------------------------


@variant("masked_attention", title="fused attention; its weights are what it does to unit vectors")
def masked_attention_by_the_fused_kernel(q, k, v, mask=None):
    identity = torch.eye(k.shape[-2], dtype=q.dtype, device=q.device)
    identity = identity.expand(*k.shape[:-2], -1, -1)
    if mask is None:
        weights = F.scaled_dot_product_attention(q, k, identity)
        return F.scaled_dot_product_attention(q, k, v), weights
    seen = mask.any(dim=-1, keepdim=True)  # an empty row would be nan in older releases
    allowed = mask | ~seen
    output = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    weights = F.scaled_dot_product_attention(q, k, identity, attn_mask=allowed)
    return output.masked_fill(~seen, 0.0), weights.masked_fill(~mask, 0.0)


@variant("masked_attention", title="einsum, the mask added as 0 and -inf")
def masked_attention_by_einsum(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q * q.shape[-1] ** -0.5, k)
    if mask is None:
        mask = scores.new_ones(1, dtype=torch.bool)
    hidden = ~mask & mask.any(dim=-1, keepdim=True)
    bias = scores.new_zeros(hidden.shape).masked_fill(hidden, -math.inf)
    weights = (scores + bias).softmax(dim=-1).masked_fill(~mask, 0.0)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@variant("masked_attention", title="a loop over the queries, each with its own row of the mask")
def masked_attention_query_by_query(q, k, v, mask=None):
    leading, n_queries, n_keys = q.shape[:-2], q.shape[-2], k.shape[-2]
    if mask is None:
        mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=q.device)
    mask = mask.expand(*leading, n_queries, n_keys)
    rows = []
    for t in range(n_queries):
        scores = (k * q[..., t : t + 1, :]).sum(dim=-1) / math.sqrt(q.shape[-1])
        rows.append(masked_softmax(scores, mask[..., t, :]))
    weights = torch.stack(rows, dim=-2)
    return weights @ v, weights


# --- CausalSelfAttention ---------------------------------------------------------------------


@variant("CausalSelfAttention", title="fused attention with is_causal")
class CausalSelfAttentionByTheFusedKernel(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@variant("CausalSelfAttention", title="each position attends to the text up to it, no mask at all")
class CausalSelfAttentionPrefixByPrefix(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        outputs = []
        for t in range(x.shape[-2]):
            past = slice(0, t + 1)
            scores = q[..., t : t + 1, :] @ k[..., past, :].mT / math.sqrt(q.shape[-1])
            outputs.append(scores.softmax(dim=-1) @ v[..., past, :])
        return torch.cat(outputs, dim=-2)


@variant("CausalSelfAttention", title="not a subclass; tril == 0 is filled with -inf")
class CausalSelfAttentionOnItsOwn(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        joined = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        q, k, v = F.linear(x, joined).chunk(3, dim=-1)
        scores = q @ k.mT * k.shape[-1] ** -0.5
        tril = torch.tril(torch.ones_like(scores))
        return scores.masked_fill(tril == 0, -math.inf).softmax(dim=-1) @ v


@variant("CausalSelfAttention", title="masked after softmax and renormalised, in a safe way")
class CausalSelfAttentionThatRenormalises(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        visible = torch.ones_like(scores, dtype=torch.bool).tril()
        largest = scores.masked_fill(~visible, -math.inf).amax(dim=-1, keepdim=True)
        exponentials = (scores - largest).clamp(max=0.0).exp() * visible
        return exponentials / exponentials.sum(dim=-1, keepdim=True) @ v


# --- future_influence ------------------------------------------------------------------------


@variant("future_influence", title="torch.func.jacrev")
def future_influence_by_jacrev(fn, x):
    jacobian = torch.func.jacrev(fn)(x.detach()).detach()
    n_positions = x.shape[0]
    blocks = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return torch.linalg.vector_norm(blocks, dim=(1, 3))


@variant("future_influence", title="a loop of autograd.grad over every output")
def future_influence_output_by_output(fn, x):
    x = x.detach().clone().requires_grad_()
    outputs = fn(x).reshape(x.shape[0], -1)
    influence = torch.zeros(x.shape[0], x.shape[0], dtype=x.dtype, device=x.device)
    for t, output in enumerate(outputs):
        for one in output:
            (gradient,) = torch.autograd.grad(one, x, retain_graph=True)
            influence[t] += gradient.pow(2).sum(dim=-1)
    return influence.sqrt()


@variant("future_influence", title="one backward pass an output channel, batched by vmap")
def future_influence_by_vjp(fn, x):
    outputs, pull_back = torch.func.vjp(fn, x.detach())
    units = torch.eye(outputs.numel(), dtype=outputs.dtype, device=x.device)
    (gradients,) = torch.func.vmap(pull_back)(units.reshape(-1, *outputs.shape))
    n_positions = x.shape[0]
    blocks = gradients.reshape(n_positions, -1, n_positions, x.shape[1])
    return blocks.detach().norm(dim=3).norm(dim=1)
