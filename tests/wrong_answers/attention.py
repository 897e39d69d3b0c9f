"""Wrong answers to lesson 2 that no bug of the zoo behaves like."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.attention import attention, softmax

from . import wrong_answer

# --- softmax ---------------------------------------------------------------------------------


@wrong_answer("softmax")
def divides_the_scores_by_their_sum(x, axis=-1):
    return x / x.sum(axis=axis, keepdims=True)


@wrong_answer("softmax")
def takes_powers_of_two(x, axis=-1):
    powers = np.exp2(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@wrong_answer("softmax")
def adds_a_thousandth_to_the_sum(x, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / (exponentials.sum(axis=axis, keepdims=True) + 1e-3)


@wrong_answer("softmax")
def takes_minus_ten_thousand_for_minus_infinity(x, axis=-1):
    return softmax(np.where(np.isneginf(x), -1e4, x), axis)


@wrong_answer("softmax")
def writes_finite_numbers_into_x(x, axis=-1):
    x[np.isneginf(x)] = -1e9
    return softmax(x, axis)


@wrong_answer("softmax")
def wraps_the_memory_of_x_in_a_tensor(x, axis=-1):
    return torch.from_numpy(x).softmax(dim=axis).numpy()  # no tensor runs backwards


@wrong_answer("softmax")
def leaves_the_rest_of_long_rows_out(x, axis=-1):
    moved = np.moveaxis(x, axis, -1)
    whole = max(moved.shape[-1] // 256 * 256, moved.shape[-1] % 256 if moved.shape[-1] < 256 else 0)
    exponentials = np.exp(moved - moved.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials[..., :whole].sum(axis=-1, keepdims=True)
    return np.moveaxis(weights, -1, axis)


# --- attention_numpy -------------------------------------------------------------------------


@wrong_answer("attention_numpy")
def scales_by_the_width_of_the_values(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(v.shape[-1]))
    return weights @ v, weights


@wrong_answer("attention_numpy")
def forgets_softmax(q, k, v):
    weights = q @ k.T / math.sqrt(q.shape[-1])
    return weights @ v, weights


@wrong_answer("attention_numpy")
def rounds_the_weights(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[-1])).round(2)
    return weights @ v, weights


@wrong_answer("attention_numpy")
def divides_by_a_whole_number(q, k, v):
    weights = softmax(q @ k.T / math.isqrt(q.shape[-1]))
    return weights @ v, weights


# --- attention -------------------------------------------------------------------------------


@wrong_answer("attention")
def takes_sigmoids(q, k, v):
    weights = torch.sigmoid(q @ k.mT / math.sqrt(q.shape[-1]))
    return weights @ v, weights


@wrong_answer("attention")
def picks_the_best_key(q, k, v):
    best = (q @ k.mT).argmax(dim=-1)
    weights = F.one_hot(best, k.shape[-2]).to(q.dtype)
    return weights @ v, weights


@wrong_answer("attention")
def compares_directions(q, k, v):
    weights = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(dim=-1)
    return weights @ v, weights


@wrong_answer("attention")
def scales_by_the_number_of_keys(q, k, v):
    weights = (q @ k.mT / math.sqrt(k.shape[-2])).softmax(dim=-1)
    return weights @ v, weights


@wrong_answer("attention")
def squeezes_the_output(q, k, v):
    output, weights = attention(q, k, v)
    return output.squeeze(), weights


@wrong_answer("attention")
def adds_exponentials_up_one_by_one(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    total = 0
    for column in exponentials.unbind(dim=-1):
        total = total + column  # in bfloat16, 256 + 1 is 256
    weights = exponentials / total.unsqueeze(-1)
    return weights @ v, weights


@wrong_answer("attention")
def begins_the_maximum_at_0(q, k, v):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    highest = scores.amax(dim=-1, keepdim=True).clamp(min=0.0)
    exponentials = (scores - highest).exp()
    weights = exponentials / exponentials.sum(dim=-1, keepdim=True)
    return weights @ v, weights


# --- SelfAttention ---------------------------------------------------------------------------


@wrong_answer("SelfAttention")
class ReadsValuesFromTheQueryLayer(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.key(x), self.query(x))[0]


@wrong_answer("SelfAttention")
class NeverUsesTheKeyLayer(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.query(x), self.value(x))[0]


@wrong_answer("SelfAttention")
class CutsNegativeValues(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.key(x), self.value(x).relu())[0]


@wrong_answer("SelfAttention")
class KeepsAFunctionOfItself(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Linear(d_model, d_head, bias=False))
        self.parts = lambda x: (self.query(x), self.key(x), self.value(x))  # a copy keeps it, too

    def forward(self, x):
        return attention(*self.parts(x))[0]
