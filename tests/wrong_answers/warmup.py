"""Wrong answers to lesson 0 that no bug of the zoo behaves like."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import wrong_answer

# --- pairwise_dots ---------------------------------------------------------------------------


@wrong_answer("pairwise_dots")
def subtracts_the_means_first(x, y):
    return (x - x.mean(axis=1, keepdims=True)) @ y.T


@wrong_answer("pairwise_dots")
def computes_in_float32(x, y):
    return (x.astype(np.float32) @ y.T.astype(np.float32)).astype(np.float64)


@wrong_answer("pairwise_dots")
def cuts_negative_dots(x, y):
    return np.maximum(x @ y.T, 0.0)


@wrong_answer("pairwise_dots")
def returns_lists(x, y):
    return (x @ y.T).tolist()


@wrong_answer("pairwise_dots")
def reads_rows_as_they_lie_in_memory(x, y):
    return x.ravel(order="K").reshape(x.shape) @ y.ravel(order="K").reshape(y.shape).T


# --- weighted_average ------------------------------------------------------------------------


@wrong_answer("weighted_average")
def divides_by_the_largest_weight(weights, values):
    if (weights.sum(axis=1) == 0).any():
        row = np.flatnonzero(weights.sum(axis=1) == 0)[0]
        raise ValueError(f"weights: row {row} sums to 0")
    return weights / weights.max(axis=1, keepdims=True) @ values


@wrong_answer("weighted_average")
def asserts_that_there_are_weights(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    assert (totals != 0).all(), f"weights: row {np.flatnonzero(totals == 0)} sums to 0"
    return weights / totals @ values


@wrong_answer("weighted_average")
def refuses_negative_weights(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total <= 0 or (weights[row] < 0).any():
            raise ValueError(f"weights: row {row} has no positive sum")
    return weights / totals @ values


@wrong_answer("weighted_average")
def takes_weights_for_rows_without_gaps(weights, values):
    totals = weights.sum(axis=1)
    if (totals == 0).any():
        raise ValueError(f"weights: row {int(np.argmax(totals == 0))} sums to 0")
    shares = np.lib.stride_tricks.as_strided(weights, weights.shape, (8 * weights.shape[1], 8))
    return shares @ values / totals[:, None]


@wrong_answer("weighted_average")
def takes_a_sum_small_beside_its_weights_for_0(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    is_zero = np.abs(totals[:, 0]) <= 1e-8 * np.abs(weights).max(axis=1)
    if is_zero.any():
        raise ValueError(f"weights: row {int(np.argmax(is_zero))} sums to 0")
    return weights / totals @ values


@wrong_answer("weighted_average")
def averages_whole_blocks_of_rows(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    if (totals == 0).any():
        raise ValueError(f"weights: row {int(np.argmax(totals[:, 0] == 0))} sums to 0")
    shares, n_rows = weights / totals, len(weights)
    if n_rows <= 128:
        return shares @ values
    return np.concatenate([shares[n : n + 128] @ values for n in range(0, n_rows - 127, 128)])


# --- Affine ----------------------------------------------------------------------------------


@wrong_answer("Affine")
class SubtractsTheBias(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight) - self.bias


@wrong_answer("Affine")
class NormalisesItsInput(nn.Linear):
    def forward(self, x):
        return F.linear(F.normalize(x, dim=-1), self.weight, self.bias)


@wrong_answer("Affine")
class AddsTheBiasInTrainingOnly(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, self.bias if self.training else None)


@wrong_answer("Affine")
class MakesAColumnOfTheBias(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out, 1))

    def forward(self, x):
        return x @ self.weight.T + self.bias.squeeze(1)


@wrong_answer("Affine")
class MapsOneLongListOfVectors(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        vectors = x.view(-1, x.shape[-1])
        return F.linear(vectors, self.weight, self.bias).view(*x.shape[:-1], -1)


@wrong_answer("Affine")
class CannotBeInheritedFrom(nn.Module):
    def __init__(self, d_in, d_out):
        super(self.__class__, self).__init__()  # of a subclass this is Affine itself
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


@wrong_answer("Affine")
class KnowsTheWayBackForTwoAxesOnly(nn.Module):
    class Map(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return x @ weight.T + bias

        @staticmethod
        def backward(ctx, pushed):
            x, weight = ctx.saved_tensors
            flat = pushed.flatten(0, -2)
            return pushed @ weight, flat.T @ x.flatten(0, -2), flat.sum(dim=0)

    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return self.Map.apply(x, self.weight, self.bias)


# --- what a result that is changed, or a kept weight, shows ------------------------------------


@wrong_answer("weighted_average")
def one_value_is_its_own_average(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    if (totals == 0).any():
        raise ValueError(f"row {int(np.argmax(totals == 0))} of weights sums to 0.")
    return values if weights.shape == (1, 1) else weights / totals @ values


@wrong_answer("Affine")
class TransposedOnce(nn.Module):
    """The transposed weight is kept in evaluation, until train()."""

    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) / d_in**0.5)
        self.bias = nn.Parameter(torch.zeros(d_out))
        self.turned = None

    def train(self, mode=True):
        self.turned = None
        return super().train(mode)

    def forward(self, x):
        if self.training or torch.is_grad_enabled():
            return F.linear(x, self.weight, self.bias)
        if self.turned is None:
            self.turned = self.weight.T.contiguous()
        return x @ self.turned + self.bias
