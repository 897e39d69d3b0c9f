"""Right ways to write lesson 2 that differ from ours."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import attention

from . import variant

# --- softmax ---------------------------------------------------------------------------------


@variant("softmax", title="the logarithm of the sum is subtracted before a single exp")
def softmax_by_logarithm(x, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return np.exp(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


@variant("softmax", title="one slice at a time, by apply_along_axis")
def softmax_slice_by_slice(x, axis=-1):
    def of_one_slice(scores):
        exponentials = np.exp(scores - scores.max())
        return exponentials / exponentials.sum()

    return np.apply_along_axis(of_one_slice, axis, x)


@variant("softmax", title="the axis is moved to the end and back")
def softmax_by_moving_the_axis(x, axis=-1):
    last = np.moveaxis(x, axis, -1)
    exponentials = np.exp(last - last.max(axis=-1)[..., None])
    return np.moveaxis(exponentials / exponentials.sum(axis=-1)[..., None], -1, axis)


@variant("softmax", title="torch does it")
def softmax_by_torch(x, axis=-1):
    return torch.tensor(x.copy()).softmax(dim=axis).numpy()  # no tensor runs backwards


# --- attention_numpy -------------------------------------------------------------------------


@variant("attention_numpy", title="einsum, and softmax written out")
def attention_numpy_by_einsum(q, k, v):
    scores = np.einsum("td,sd->ts", q, k) * q.shape[1] ** -0.5
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=1, keepdims=True)
    return np.einsum("ts,se->te", weights, v), weights


@variant("attention_numpy", title="one query at a time")
def attention_numpy_query_by_query(q, k, v):
    outputs, weights = [], []
    for query in q:
        scores = np.array([query @ key for key in k]) / math.sqrt(len(query))
        exponentials = np.exp(scores - scores.max())
        weights.append(exponentials / exponentials.sum())
        outputs.append(sum(weight * value for weight, value in zip(weights[-1], v, strict=True)))
    return np.stack(outputs), np.stack(weights)


@variant("attention_numpy", title="the scale is shared by q and k, D**-0.25 each")
def attention_numpy_with_a_shared_scale(q, k, v):
    share = q.shape[-1] ** -0.25
    scores = (q * share) @ (k * share).T
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return np.matmul(weights, v), weights


# --- attention -------------------------------------------------------------------------------


@variant("attention", title="einsum")
def attention_by_einsum(q, k, v):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    weights = torch.softmax(scores, dim=-1)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@variant("attention", title="a loop over all the leading axes")
def attention_matrix_by_matrix(q, k, v):
    matrices = zip(
        q.reshape(-1, *q.shape[-2:]),
        k.reshape(-1, *k.shape[-2:]),
        v.reshape(-1, *v.shape[-2:]),
        strict=True,
    )
    outputs, weights = [], []
    for queries, keys, values in matrices:
        weights.append(torch.softmax(queries @ keys.T / math.sqrt(q.shape[-1]), dim=1))
        outputs.append(weights[-1] @ values)
    leading = q.shape[:-2]
    return (
        torch.stack(outputs).reshape(*leading, q.shape[-2], v.shape[-1]),
        torch.stack(weights).reshape(*leading, q.shape[-2], k.shape[-2]),
    )


@variant("attention", title="the scale is shared by q and k, D**-0.25 each")
def attention_with_a_shared_scale(q, k, v):
    share = q.shape[-1] ** -0.25
    weights = torch.matmul(q * share, (k * share).mT).softmax(-1)
    return torch.matmul(weights, v), weights


@variant("attention", title="softmax written out, row maximum subtracted")
def attention_with_softmax_by_hand(q, k, v):
    scores = q @ k.transpose(-1, -2) * q.size(-1) ** -0.5
    exponentials = torch.exp(scores - scores.amax(dim=-1, keepdim=True).detach())
    weights = exponentials / exponentials.sum(dim=-1, keepdim=True)
    return weights @ v, weights


@variant("attention", title="half precision is raised to float32 for softmax and brought back")
def attention_in_float32_for_half(q, k, v):
    wide = q.dtype if q.dtype == torch.float64 else torch.float32
    scores = q.to(wide) @ k.to(wide).mT / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return (weights @ v.to(wide)).to(q.dtype), weights.to(q.dtype)


@variant("attention", title="fused attention; its weights are what it does to the unit vectors")
def attention_by_the_fused_kernel(q, k, v):
    identity = torch.eye(k.shape[-2], dtype=q.dtype, device=q.device)
    identity = identity.expand(*k.shape[:-2], -1, -1)
    weights = F.scaled_dot_product_attention(q, k, identity)
    return F.scaled_dot_product_attention(q, k, v), weights


# --- SelfAttention ---------------------------------------------------------------------------


@variant("SelfAttention", title="one product for q, k and v, with the three weights joined")
class SelfAttentionWithJoinedWeights(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        joined = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        q, k, v = F.linear(x, joined).chunk(3, dim=-1)
        output, _ = attention(q, k, v)
        return output


@variant("SelfAttention", title="layers created in another order, attention written out")
class SelfAttentionWithLayersInAnotherOrder(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.d_head = d_head
        self.value = nn.Linear(d_model, d_head, bias=False)
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        scores = torch.einsum("...td,...sd->...ts", self.query(x), self.key(x))
        return (scores / self.d_head**0.5).softmax(dim=-1) @ self.value(x)


@variant("SelfAttention", title="the values are averaged before they are projected")
class SelfAttentionThatProjectsLast(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(d_model, d_head, bias=False) for _ in range(3)
        )

    def forward(self, x):
        gathered, _ = attention(self.query(x), self.key(x), x)
        return self.value(gathered)
