"""The bugs of lesson 0 in other words."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import same_bug_as

# --- pairwise_dots ---------------------------------------------------------------------------


@same_bug_as("swaps_rows_and_columns")
def a_row_for_each_row_of_y(x, y):
    return np.array([[row @ other for row in x] for other in y])


@same_bug_as("reshapes_instead_of_transposing")
def cut_into_columns(x, y):
    return np.dot(x, y.ravel().reshape(-1, len(y)))


@same_bug_as("averages_the_products")
def mean_over_the_last_axis(x, y):
    return (x[:, None] * y).mean(axis=-1)


@same_bug_as("divides_by_the_lengths")
def cosine_of_unit_rows(x, y):
    def unit(rows):
        return np.array([row / (np.sqrt((row**2).sum()) or 1.0) for row in rows])

    return unit(x) @ unit(y).T


@same_bug_as("measures_squared_distances")
def distances_by_norm(x, y):
    return np.array([[np.linalg.norm(row - other) ** 2 for other in y] for row in x])


@same_bug_as("forgets_the_sum")
def einsum_with_the_sum_left_out(x, y):
    return np.einsum("td,sd->tsd", x, y)


@same_bug_as("squeezes_the_result")
def squeezed_at_the_end(x, y):
    return np.squeeze(np.einsum("td,sd->ts", x, y))


@same_bug_as("scales_the_dots")
def scaled_on_both_sides(x, y):
    quarter = x.shape[1] ** -0.25
    return (quarter * x) @ (quarter * y).T


# --- weighted_average ------------------------------------------------------------------------


@same_bug_as("forgets_to_normalise")
def plain_sums(weights, values):
    if (weights.sum(axis=1) == 0).any():
        raise ValueError(f"weights: row {np.argmin(np.abs(weights.sum(axis=1)))} sums to 0")
    return np.einsum("ts,sd->td", weights, values)


@same_bug_as("normalises_the_columns")
def shares_of_each_column(weights, values):
    if (weights.sum(axis=1) == 0).any():
        raise ValueError(f"weights: row {np.argmin(np.abs(weights.sum(axis=1)))} sums to 0")
    shares = np.stack([column / column.sum() for column in weights.T], axis=1)
    return shares @ values


@same_bug_as("divides_by_the_count")
def mean_of_the_products(weights, values):
    if (weights.sum(axis=1) == 0).any():
        raise ValueError(f"weights: row {np.argmin(np.abs(weights.sum(axis=1)))} sums to 0")
    return np.array([(row[:, None] * values).mean(axis=0) for row in weights])


@same_bug_as("loses_the_axis_of_the_sums")
def divided_without_an_axis(weights, values):
    sums = np.array([sum(row) for row in weights])
    if (sums == 0).any():
        raise ValueError(f"weights: row {sums.tolist().index(0)} sums to 0")
    return np.divide(weights, sums) @ values


@same_bug_as("takes_softmax_of_the_weights")
def powers_of_e(weights, values):
    sums = weights.sum(axis=1)
    if (sums == 0).any():
        raise ValueError(f"weights: row {sums.tolist().index(0)} sums to 0")
    return torch.softmax(torch.from_numpy(weights), dim=-1).numpy() @ values


@same_bug_as("divides_by_zero")
def nan_from_an_empty_row(weights, values):
    with np.errstate(all="ignore"):
        return np.einsum("ts,sd->td", weights / weights.sum(axis=-1)[:, None], values)


@same_bug_as("gives_zeros_without_weights")
def skips_empty_rows(weights, values):
    result = np.zeros((len(weights), values.shape[1]))
    for t, row in enumerate(weights):
        if row.sum() != 0:
            result[t] = row @ values / row.sum()
    return result


@same_bug_as("normalises_in_place")
def writes_each_row_back(weights, values):
    for t, row in enumerate(weights):
        if row.sum() == 0:
            raise ValueError(f"weights: row {t} sums to 0")
    for t in range(len(weights)):
        weights[t] = weights[t] / weights[t].sum()
    return weights @ values


# --- Affine ----------------------------------------------------------------------------------


@same_bug_as("StoresTheWeightTransposed")
class MultipliesFromTheRight(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_in, d_out).normal_())
        self.bias = nn.Parameter(torch.empty(d_out).zero_())

    def forward(self, x):
        return torch.matmul(x, self.weight) + self.bias


@same_bug_as("ReshapesTheWeight")
class ViewsTheWeight(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.d_in, self.d_out = d_in, d_out
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.empty(d_out))

    def forward(self, x):
        return F.linear(x, self.weight.view(self.d_in, self.d_out).T, self.bias)


@same_bug_as("NeverAddsTheBias")
class CallsLinearWithoutBias(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.empty(d_out))

    def forward(self, x):
        return F.linear(x, self.weight)


@same_bug_as("HasNoBias")
class IsALinearMap(nn.Linear):
    def __init__(self, d_in, d_out):
        super().__init__(d_in, d_out, bias=False)


@same_bug_as("KeepsPlainTensors")
class KeepsArraysOfNumbers(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = torch.rand(d_out, d_in) / math.sqrt(d_in)
        self.bias = torch.rand(d_out)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


@same_bug_as("FlattensTheBatch")
class ReturnsATable(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.d_in = d_in
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.empty(d_out))

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, self.d_in), self.weight.t())


@same_bug_as("AppliesAnActivation")
class CutsAtZero(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, self.bias).clamp(min=0)


@same_bug_as("DetachesTheParameters")
class DetachesBoth(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.detach(), self.bias.detach())


@same_bug_as("ComputesInFloat32")
class LeavesInFloat32(nn.Linear):
    def forward(self, x):
        return F.linear(*(each.to(torch.float32) for each in (x, self.weight, self.bias)))


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("multiplies_x_in_place")
def multiplies_x_in_place(x, y):
    dots = np.empty((len(x), len(y)))
    for s in reversed(range(len(y))):
        copy = x.copy() if s else x
        copy *= y[s]
        dots[:, s] = copy.sum(axis=1)
    return dots


@same_bug_as("divides_by_the_sum_of_all")
def divides_by_the_sum_of_all(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights @ values / weights.sum()


@same_bug_as("adds_a_little_to_the_sums")
def adds_a_little_to_the_sums(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / (totals + 1e-8) @ values


@same_bug_as("divides_by_absolute_sums")
def divides_by_absolute_sums(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / np.abs(weights).sum(axis=1, keepdims=True) @ values


@same_bug_as("ForgetsToTranspose")
class ForgetsToTranspose(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight + self.bias


@same_bug_as("KeepsTheBiasAsABuffer")
class KeepsTheBiasAsABuffer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.register_buffer("bias", torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight.T + self.bias


@same_bug_as("WrapsALinearLayer")
class WrapsALinearLayer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.linear = nn.Linear(d_in, d_out)

    def forward(self, x):
        return self.linear(x)


@same_bug_as("AddsTheBiasFirst")
class AddsTheBiasFirst(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return (x + self.bias) @ self.weight.T


@same_bug_as("TransposesTheInput")
class TransposesTheInput(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return torch.mm(self.weight, x.t()).t() + self.bias
