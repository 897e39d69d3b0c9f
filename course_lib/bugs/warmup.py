"""What goes wrong in lesson 0: dot products, averages, and the parameters of a first module."""

import math

import numpy as np
import torch
from torch import nn

from . import bug

# --- pairwise_dots ---------------------------------------------------------------------------


@bug(
    "pairwise_dots",
    title="rows and columns are swapped: a row for each row of y",
    misconception="A dot product is symmetric, so the order does not matter. That of the two "
    "numbers does not; that of the table does.",
    symptom="Shape (S, T) instead of (T, S). With T = S only the values are wrong.",
)
def swaps_rows_and_columns(x, y):
    return y @ x.T


@bug(
    "pairwise_dots",
    title="y was reshaped where it should be transposed",
    misconception="Any way to make (D, S) out of (S, D) will do. reshape keeps the order in which "
    "numbers are stored, so it cuts the rows up and mixes them.",
    symptom="Every shape fits and the numbers are wrong.",
)
def reshapes_instead_of_transposing(x, y):
    return x @ y.reshape(y.shape[1], y.shape[0])


@bug(
    "pairwise_dots",
    title="only row t with row t, not every pair",
    misconception="* and a sum is the dot product. Of two tables it pairs rows that stand at the "
    "same place; the others never meet.",
    symptom="'could not be broadcast', or, with T = S, one number a row where a table is due.",
)
def pairs_equal_rows_only(x, y):
    return (x * y).sum(axis=-1)


@bug(
    "pairwise_dots",
    title="the products were averaged, not added up",
    misconception="The mean of the products is a dot product too. It is smaller by a factor of D.",
    symptom="The right pattern, D times too small.",
)
def averages_the_products(x, y):
    return x @ y.T / x.shape[-1]


@bug(
    "pairwise_dots",
    title="the angle between the rows instead of their dot product",
    misconception="A dot product says how similar two vectors are, so their lengths must go. That "
    "is the cosine; the dot product keeps the lengths.",
    symptom="All numbers lie between -1 and 1.",
)
def divides_by_the_lengths(x, y):
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    return x @ y.T / np.where(lengths == 0, 1.0, lengths)


@bug(
    "pairwise_dots",
    title="squared distances instead of dot products",
    misconception="Similar means near. A distance is small where a dot product is large.",
    symptom="No number is negative, and the best match has the smallest.",
)
def measures_squared_distances(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=-1)


@bug(
    "pairwise_dots",
    title="the products were never added up",
    misconception="Broadcasting gives all pairs. It gives their D products, which still want a "
    "sum.",
    symptom="Three axes (T, S, D) where two are due.",
)
def forgets_the_sum(x, y):
    return x[:, None, :] * y[None, :, :]


@bug(
    "pairwise_dots",
    title="both loops run over the rows of x",
    misconception="There are as many rows in y as in x. range(len(x)) was written twice.",
    symptom="IndexError when y is shorter, columns of zeros when it is longer, right when T = S.",
)
def counts_the_rows_of_x_twice(x, y):
    dots = np.zeros((len(x), len(y)))
    for t in range(len(x)):
        for s in range(len(x)):
            dots[t, s] = x[t] @ y[s]
    return dots


@bug(
    "pairwise_dots",
    title="axes of length 1 were squeezed away",
    misconception="squeeze tidies up. It also removes an axis that merely happens to be short.",
    symptom="Right until x or y has a single row; then an axis is missing.",
)
def squeezes_the_result(x, y):
    return (x @ y.T).squeeze()


@bug(
    "pairwise_dots",
    title="scaled by the square root of D",
    misconception="Attention divides its scores by sqrt(D), so a dot product is divided too. Here "
    "it is the plain one.",
    symptom="The right pattern, sqrt(D) times too small.",
)
def scales_the_dots(x, y):
    return x @ y.T / math.sqrt(x.shape[-1])


@bug(
    "pairwise_dots",
    title="x itself was multiplied on the way",
    misconception="x *= … is short for x = x * …. For an array it writes into the caller's.",
    symptom="The result is right, and the x of the caller is not what it was.",
)
def multiplies_x_in_place(x, y):
    dots = np.empty((len(x), len(y)))
    for s in reversed(range(len(y))):
        copy = x.copy() if s else x
        copy *= y[s]
        dots[:, s] = copy.sum(axis=1)
    return dots


# --- weighted_average ------------------------------------------------------------------------


@bug(
    "weighted_average",
    title="the weights were not normalised",
    misconception="Weights sum to 1. These need not; their shares do.",
    symptom="Right for rows that sum to 1, too large or too small for all others.",
)
def forgets_to_normalise(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights @ values


@bug(
    "weighted_average",
    title="each column of the weights was normalised, not each row",
    misconception="axis=0 is the first axis, so it goes along a row. It goes down the columns.",
    symptom="The columns of the shares sum to 1; averages leave the range of the values.",
)
def normalises_the_columns(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / weights.sum(axis=0) @ values


@bug(
    "weighted_average",
    title="divided by the sum of all weights, not of each row",
    misconception="weights.sum() is the sum. Without an axis it is that of the whole table.",
    symptom="Right for a single row; with T rows everything is about T times too small.",
)
def divides_by_the_sum_of_all(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights @ values / weights.sum()


@bug(
    "weighted_average",
    title="divided by how many values there are",
    misconception="An average divides by the count. A weighted one divides by the sum of the "
    "weights.",
    symptom="Right only when a row of weights sums to S.",
)
def divides_by_the_count(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights @ values / weights.shape[1]


@bug(
    "weighted_average",
    title="the sums lost their axis (keepdims is missing)",
    misconception="Dividing (T, S) by (T,) divides each row by its own sum. Shapes are matched "
    "from the right, so it divides each column.",
    symptom="'could not be broadcast'; when T = S no error, and wrong averages.",
)
def loses_the_axis_of_the_sums(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / totals @ values


@bug(
    "weighted_average",
    title="softmax of the weights instead of their shares",
    misconception="Weights are made by softmax. It turns scores into weights; these are weights "
    "already.",
    symptom="Blends that are too even, and a weight of 0 still counts.",
)
def takes_softmax_of_the_weights(weights, values):
    totals = weights.sum(axis=1)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    shares = np.exp(weights - weights.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True) @ values


@bug(
    "weighted_average",
    title="a small number was added to the sums",
    misconception="+ 1e-8 makes every division safe and changes nothing. It changes everything "
    "where the weights are small too.",
    symptom="Averages of tiny weights shrink towards 0.",
)
def adds_a_little_to_the_sums(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / (totals + 1e-8) @ values


@bug(
    "weighted_average",
    title="signs were dropped: divided by the sum of absolute weights",
    misconception="Weights are positive, so abs() is harmless. Where one is negative, the shares "
    "no longer sum to 1.",
    symptom="Right while all weights are positive.",
)
def divides_by_absolute_sums(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    return weights / np.abs(weights).sum(axis=1, keepdims=True) @ values


@bug(
    "weighted_average",
    title="a row that sums to 0 gives nan or infinity, and no error",
    misconception="Nobody asks for an average without weights. Somebody does, and nan spreads "
    "from there to everything.",
    symptom="A warning in a corner, and nan many lines later.",
)
def divides_by_zero(weights, values):
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights / weights.sum(axis=1, keepdims=True) @ values


@bug(
    "weighted_average",
    title="a row that sums to 0 gives zeros, and no error",
    misconception="No weights, no average, so 0. But 0 is a value like any other, and hides the "
    "mistake of whoever made the weights.",
    symptom="Rows of zeros that nobody asks about.",
)
def gives_zeros_without_weights(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    shares = np.where(totals == 0, 0.0, weights / np.where(totals == 0, 1.0, totals))
    return shares @ values


@bug(
    "weighted_average",
    title="the caller's weights were normalised in place",
    misconception="weights /= … is short for weights = weights / …. It writes into the array that "
    "the caller still holds.",
    symptom="The result is right; the caller's weights sum to 1 afterwards.",
)
def normalises_in_place(weights, values):
    totals = weights.sum(axis=1, keepdims=True)
    for row, total in enumerate(totals):
        if total == 0:
            raise ValueError(f"weights must not sum to 0, got 0 in row {row}.")
    weights /= totals
    return weights @ values


# --- Affine ----------------------------------------------------------------------------------


@bug(
    "Affine",
    title="the weight is stored the other way round, (d_in, d_out)",
    misconception="x @ weight is what we want, so that is how to store it. nn.Linear stores "
    "(d_out, d_in), and saved weights come that way.",
    symptom="Saved weights do not load, or, with d_in = d_out, load and are wrong.",
    threads=("rasbt/LLMs-from-scratch#857",),
)
class StoresTheWeightTransposed(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_in, d_out))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight + self.bias


@bug(
    "Affine",
    title="the weight was reshaped where it should be transposed",
    misconception="Any way to make (d_in, d_out) out of (d_out, d_in) will do. reshape keeps the "
    "order in which numbers are stored.",
    symptom="Every shape fits, it even learns; weights from elsewhere give nonsense.",
)
class ReshapesTheWeight(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight.reshape(x.shape[-1], -1) + self.bias


@bug(
    "Affine",
    title="the weight was not transposed",
    misconception="x @ weight is a linear map. With the weight as (d_out, d_in) the sizes only fit "
    "when they are equal.",
    symptom="RuntimeError about sizes; when d_in = d_out, no error and other numbers.",
)
class ForgetsToTranspose(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight + self.bias


@bug(
    "Affine",
    title="the bias is not added",
    misconception="Having a parameter is enough. It must take part in forward as well.",
    symptom="The bias never gets a gradient and stays at 0.",
)
class NeverAddsTheBias(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight.T


@bug(
    "Affine",
    title="there is no bias at all",
    misconception="A linear map has no shift. An affine one does.",
    symptom="Zero in, zero out, whatever is learned.",
)
class HasNoBias(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))

    def forward(self, x):
        return x @ self.weight.T


@bug(
    "Affine",
    title="plain tensors instead of nn.Parameter",
    misconception="A tensor that is an attribute belongs to the module. Only an nn.Parameter is "
    "saved, moved and trained with it.",
    symptom="model.parameters() is empty, and the optimizer refuses an empty list.",
)
class KeepsPlainTensors(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = torch.randn(d_out, d_in, requires_grad=True)
        self.bias = torch.zeros(d_out, requires_grad=True)

    def forward(self, x):
        return x @ self.weight.T + self.bias


@bug(
    "Affine",
    title="the bias is a buffer: saved, but not trained",
    misconception="register_buffer makes it part of the module. Buffers are saved and moved, but "
    "optimizers do not see them.",
    symptom="Everything works, and the bias is 0 for ever.",
)
class KeepsTheBiasAsABuffer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.register_buffer("bias", torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight.T + self.bias


@bug(
    "Affine",
    title="an nn.Linear inside gives the parameters other names",
    misconception="Wrapping a layer is the same as being one. Its parameters are then called "
    "linear.weight and linear.bias.",
    symptom="Missing key(s) and unexpected key(s) when weights are loaded.",
)
class WrapsALinearLayer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.linear = nn.Linear(d_in, d_out)

    def forward(self, x):
        return self.linear(x)


@bug(
    "Affine",
    title="the bias is added before the multiplication",
    misconception="The order of shift and map does not matter. It does, and the sizes say so.",
    symptom="RuntimeError about sizes, unless d_in = d_out.",
)
class AddsTheBiasFirst(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return (x + self.bias) @ self.weight.T


@bug(
    "Affine",
    title="leading axes were flattened and not put back",
    misconception="view(-1, d_in) makes the input a table, which is all a layer needs. The caller "
    "wants the axes back.",
    symptom="(B, T, C) in, (B·T, C) out.",
)
class FlattensTheBatch(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x.reshape(-1, x.shape[-1]) @ self.weight.T + self.bias


@bug(
    "Affine",
    title="works for a table (rows, d_in) only",
    misconception="Inputs have two axes, so weight @ x.T and back will do. A text in a batch has "
    "three, a single vector one.",
    symptom="Errors, or .T warnings, as soon as x has another number of axes.",
)
class TransposesTheInput(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return torch.mm(self.weight, x.t()).t() + self.bias


@bug(
    "Affine",
    title="negative outputs are cut to 0",
    misconception="A layer ends in an activation. That is a step of its own.",
    symptom="About half of the outputs are exactly 0.",
)
class AppliesAnActivation(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return (x @ self.weight.T + self.bias).relu()


@bug(
    "Affine",
    title="the parameters are detached in forward",
    misconception=".data gives the numbers, which is what a product needs. It also cuts the "
    "parameters off from the gradients.",
    symptom="The loss does not move, and every .grad is None.",
)
class DetachesTheParameters(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x @ self.weight.data.T + self.bias.data


@bug(
    "Affine",
    title="computed in float32 whatever comes in",
    misconception=".float() makes numbers floats. It makes them float32, and so the output.",
    symptom="'expected … to have the same dtype' one layer later, in half precision.",
)
class ComputesInFloat32(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x):
        return x.float() @ self.weight.float().T + self.bias.float()
