"""The bugs of lesson 2 in other words."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import same_bug_as

# --- softmax ---------------------------------------------------------------------------------


@same_bug_as("exponentiates_without_shifting")
def power_of_e(x, axis=-1):
    with np.errstate(all="ignore"):
        powers = np.e**x
        return powers / np.sum(powers, axis=axis, keepdims=True)


@same_bug_as("always_uses_the_last_axis")
def rows_only(x, axis=-1):
    return torch.softmax(torch.tensor(x), dim=-1).numpy()


@same_bug_as("normalises_over_the_whole_array")
def one_sum_for_all(x, axis=-1):
    largest = np.expand_dims(np.max(x, axis=axis), axis)
    return np.exp(x - largest) / np.sum(np.exp(x - largest))


@same_bug_as("shifts_its_input_in_place")
def subtract_into_x(x, axis=-1):
    np.subtract(x, np.max(x, axis=axis, keepdims=True), out=x)
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


@same_bug_as("returns_log_weights")
def torch_log_softmax(x, axis=-1):
    return torch.log_softmax(torch.tensor(x), dim=axis).numpy()


# --- attention_numpy -------------------------------------------------------------------------


@same_bug_as("numpy_forgets_the_scale")
def raw_dot_products(q, k, v):
    scores = np.einsum("td,sd->ts", q, k)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=1, keepdims=True)
    return np.einsum("ts,se->te", weights, v), weights


@same_bug_as("numpy_softmax_over_the_queries")
def columns_sum_to_one(q, k, v):
    by_query = (k @ q.T).T / np.sqrt(k.shape[1])
    exponentials = np.exp(by_query - by_query.max(0))
    weights = exponentials / exponentials.sum(0)
    return weights @ v, weights


@same_bug_as("numpy_gathers_the_keys")
def average_of_keys(q, k, v):
    v = k
    weights = torch.softmax(torch.tensor(q @ k.T / np.sqrt(q.shape[1])), dim=1).numpy()
    return weights @ v, weights


# --- attention -------------------------------------------------------------------------------


@same_bug_as("forgets_the_scale")
def dot_products_as_they_are(q, k, v):
    weights = F.softmax(torch.einsum("...td,...sd->...ts", q, k), dim=-1)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@same_bug_as("divides_by_the_width")
def root_on_both_sides(q, k, v):
    root = q.shape[-1] ** 0.5
    weights = F.softmax((q / root) @ (k / root).mT, dim=-1)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@same_bug_as("multiplies_by_the_root_of_the_width")
def scale_with_the_wrong_sign(q, k, v):
    weights = torch.softmax(q @ k.mT / q.shape[-1] ** -0.5, -1)
    return weights.matmul(v), weights


@same_bug_as("softmax_over_the_queries")
def scores_kept_as_keys_by_queries(q, k, v):
    by_key = (k @ q.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return by_key.mT @ v, by_key.mT


@same_bug_as("reshapes_the_keys")
def keys_seen_through_view(q, k, v):
    seen = k.contiguous().view(*k.shape[:-2], k.size(-1), k.size(-2))
    weights = torch.softmax(torch.matmul(q * q.size(-1) ** -0.5, seen), dim=-1)
    return torch.matmul(weights, v), weights


@same_bug_as("gathers_the_keys")
def values_shadowed_by_keys(q, k, v):
    v = k
    weights = F.softmax(torch.matmul(q, k.mT) * q.shape[-1] ** -0.5, dim=-1)
    return torch.matmul(weights, v), weights


@same_bug_as("detaches_the_weights")
def weights_under_no_grad(q, k, v):
    with torch.no_grad():
        weights = F.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)
    return torch.einsum("...ts,...se->...te", weights, v), weights


@same_bug_as("scales_the_queries_in_place")
def multiplied_into_q(q, k, v):
    q.mul_(q.shape[-1] ** -0.5)
    weights = F.softmax(torch.einsum("...td,...sd->...ts", q, k), dim=-1)
    return weights.matmul(v), weights


@same_bug_as("stays_in_float32")
def all_three_raised_to_float32(q, k, v):
    q, k, v = (x.to(torch.float32) for x in (q, k, v))
    weights = torch.softmax(torch.matmul(q, k.mT) / q.shape[-1] ** 0.5, dim=-1)
    return torch.matmul(weights, v), weights


# --- SelfAttention ---------------------------------------------------------------------------


@same_bug_as("ScalesByTheModelWidth")
class RootOfEmbedSize(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.embed_size = d_model
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        energy = torch.einsum("...qd,...kd->...qk", self.query(x), self.key(x))
        return torch.softmax(energy / self.embed_size ** (1 / 2), dim=-1) @ self.value(x)


@same_bug_as("ReadsValuesFromTheKeyLayer")
class KeyTwice(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Linear(d_model, d_head, bias=False))

    def forward(self, x):
        joined = torch.cat([self.query.weight, self.key.weight, self.key.weight])
        q, k, v = F.linear(x, joined).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v)


@same_bug_as("SwapsKeysAndValues")
class QueryValueKey(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Linear(d_model, d_head, bias=False))

    def forward(self, x):
        joined = torch.cat([self.query.weight, self.value.weight, self.key.weight])
        q, k, v = F.linear(x, joined).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v)


@same_bug_as("LetsTextsReadEachOther")
class FlattenedFirst(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        *leading, d_model = x.shape
        q, k, v = (layer(x.view(-1, d_model)) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(q @ k.T * k.shape[1] ** -0.5, dim=1)
        return (weights @ v).unflatten(0, leading)


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("subtracts_one_maximum_for_all_rows")
def subtracts_one_maximum_for_all_rows(x, axis=-1):
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(x - x.max())
        return exponentials / exponentials.sum(axis=axis, keepdims=True)
