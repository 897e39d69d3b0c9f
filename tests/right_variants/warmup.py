"""Right ways to write lesson 0 that differ from ours."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import variant

# --- pairwise_dots ---------------------------------------------------------------------------


@variant("pairwise_dots", title="einsum")
def pairwise_dots_by_einsum(x, y):
    return np.einsum("td,sd->ts", x, y)


@variant("pairwise_dots", title="a loop over all pairs")
def pairwise_dots_pair_by_pair(x, y):
    dots = np.zeros((x.shape[0], y.shape[0]))
    for t, one in enumerate(x):
        for s, other in enumerate(y):
            dots[t, s] = sum(a * b for a, b in zip(one, other, strict=True))
    return dots


@variant("pairwise_dots", title="broadcast, multiply, sum")
def pairwise_dots_by_broadcasting(x, y):
    return (x[:, None, :] * y[None, :, :]).sum(axis=2)


@variant("pairwise_dots", title="y times x, then turned round")
def pairwise_dots_turned_round(x, y):
    return np.dot(y, x.transpose()).transpose()


@variant("pairwise_dots", title="a list of lists, made an array at the end")
def pairwise_dots_from_lists(x, y):
    return np.array([[float(np.inner(row, other)) for other in y] for row in x])


# --- weighted_average ------------------------------------------------------------------------


@variant("weighted_average", title="divided after the product")
def weighted_average_divided_late(weights, values):
    totals = weights.sum(axis=1)
    if np.any(totals == 0):
        rows = np.where(totals == 0)[0].tolist()
        raise ValueError(f"weights of rows {rows} sum to 0")
    return (weights @ values) / totals[:, None]


@variant("weighted_average", title="np.average, row by row")
def weighted_average_by_numpy(weights, values):
    rows = []
    for t, row in enumerate(weights):
        if row.sum() == 0:
            raise ValueError(f"weights[{t}] sums to 0, so there is nothing to divide by")
        rows.append(np.average(values, axis=0, weights=row))
    return np.stack(rows)


@variant("weighted_average", title="loops and sums of Python")
def weighted_average_by_hand(weights, values):
    result = np.zeros((len(weights), values.shape[1]))
    for t in range(len(weights)):
        total = sum(weights[t])
        if total == 0:
            raise ValueError(f"row {t} of weights sums to 0")
        for s in range(len(values)):
            result[t] += weights[t, s] / total * values[s]
    return result


@variant("weighted_average", title="NumPy's division error caught and explained")
def weighted_average_by_catching(weights, values):
    try:
        with np.errstate(divide="raise", invalid="raise"):
            shares = weights / weights.sum(axis=-1, keepdims=True)
    except FloatingPointError as error:
        row = np.argmin(np.abs(weights.sum(axis=-1)))
        raise ValueError(f"the weights of row {row} sum to 0") from error
    return np.einsum("ts,sd->td", shares, values)


# --- Affine ----------------------------------------------------------------------------------


@variant("Affine", title="a subclass of nn.Linear")
class AffineIsLinear(nn.Linear):
    pass


@variant("Affine", title="F.linear; parameters made empty, then filled; the bias first")
class AffineByTheFunction(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(d_out))
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


@variant("Affine", title="einsum, parameters registered by hand")
class AffineByEinsum(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.rand(d_out, d_in) - 0.5))
        self.register_parameter("bias", nn.Parameter(torch.ones(d_out)))

    def forward(self, x):
        return self.bias + torch.einsum("oi,...i->...o", self.weight, x)


@variant("Affine", title="flattened, multiplied, and put back into shape")
class AffineThroughATable(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.d_out = d_out
        self.weight = nn.Parameter(torch.zeros(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        table = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight.t())
        return table.reshape(*x.shape[:-1], self.d_out)


@variant("Affine", title="broadcast, multiply, sum")
class AffineByBroadcasting(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.randn(d_out))

    def forward(self, x):
        return (x[..., None, :] * self.weight).sum(dim=-1) + self.bias
