"""What goes wrong in lesson 0: dot products, averages, and the parameters of a first module."""

import numpy as np

from . import bugs, whole_bug

bugs("""pairwise_dots:

swaps_rows_and_columns
    rows and columns are swapped: a row for each row of y
    believed: A dot product is symmetric, so the order does not matter. In the table it does: x
        gives the rows and y the columns.
    seen: Shape (S, T) instead of (T, S). With T = S only the values are wrong.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return y @ x.T

reshapes_instead_of_transposing
    y was reshaped where it should be transposed
    believed: Any way to make (D, S) out of (S, D) will do. But reshape keeps the order in which
        numbers are stored, so it cuts the rows up and mixes them.
    seen: Every shape fits and the numbers are wrong.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return x @ y.reshape(y.shape[1], y.shape[0])

pairs_equal_rows_only
    only row t with row t, not every pair
    believed: Multiplying the tables number by number and summing gives the dot products. It gives
        those of rows at the same place only; here every row of x meets every row of y.
    seen: 'could not be broadcast', or, with T = S, one number a row where a table is due.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return (x * y).sum(axis=-1)

averages_the_products
    the products were averaged, not added up
    believed: The mean of the products is as good as their sum. It is D times smaller; a dot product
        is the sum.
    seen: The right pattern, D times too small.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return x @ y.T / x.shape[-1]

divides_by_the_lengths
    the cosine of the angle between the rows instead of their dot product
    believed: A dot product says how similar two vectors are, so their lengths must go. That is the
        cosine; the dot product keeps the lengths.
    seen: All numbers lie between -1 and 1.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    + return x @ y.T / np.where(lengths == 0, 1.0, lengths)

measures_squared_distances
    squared distances instead of dot products
    believed: Likeness can be measured by distance as well. It can, but that is another number,
        small for rows that are alike; here the dot product is asked for.
    seen: No number is negative, and the best match has the smallest.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=-1)

forgets_the_sum
    the products were never added up
    believed: Broadcasting gives the dot products of all pairs. It gives the D products of each
        pair, which must still be added up.
    seen: Three axes (T, S, D) where two are due.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return x[:, None, :] * y[None, :, :]

counts_the_rows_of_x_twice
    both loops run over the rows of x
    believed: y has as many rows as x. It may have more or fewer: the table has a column for each
        row of y.
    seen: IndexError when y is shorter, columns of zeros when it is longer, right when T = S.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + dots = np.zeros((len(x), len(y)))
    + for t in range(len(x)):
    +     for s in range(len(x)):
    +         dots[t, s] = x[t] @ y[s]
    + return dots

squeezes_the_result
    axes of length 1 were squeezed away
    believed: squeeze only tidies up. But it also removes an axis that merely happens to be short.
    seen: Right until x or y has a single row; then an axis is missing.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return (x @ y.T).squeeze()

scales_the_dots
    scaled by the square root of D
    believed: Attention divides its scores by sqrt(D), so a dot product is divided too. Here it is
        the plain one.
    seen: The right pattern, sqrt(D) times too small.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + return x @ y.T / math.sqrt(x.shape[-1])

multiplies_x_in_place
    x itself was multiplied on the way
    believed: The last products may be made in x itself, as nobody needs it any more. The caller
        may: it is the caller's array.
    seen: The result is right, and the x of the caller is not what it was.
    - return x @ y.T  # (T, D) @ (D, S) -> (T, S)
    + dots = np.empty((len(x), len(y)))
    + for s in range(len(y)):
    +     products = x if s == len(y) - 1 else x.copy()
    +     products *= y[s]
    +     dots[:, s] = products.sum(axis=1)
    + return dots
""")


bugs("""weighted_average:

forgets_to_normalise
    the weights were not normalised
    believed: Weights always sum to 1. These need not; only their shares of the row's sum do.
    seen: Right for rows that sum to 1, too large or too small for all others.
    - return weights / totals @ values
    + return weights @ values

normalises_the_columns
    each column of the weights was normalised, not each row
    believed: axis=0 is the first axis, so it goes along a row. It goes down the columns.
    seen: The columns of the shares sum to 1; averages leave the range of the values.
    - return weights / totals @ values
    + return weights / weights.sum(axis=0) @ values

divides_by_the_sum_of_all
    divided by the sum of all weights, not of each row
    believed: weights.sum() is the sum of each row. Without an axis it is that of the whole table.
    seen: Right for a single row; with T rows everything is about T times too small.
    - return weights / totals @ values
    + return weights @ values / weights.sum()

divides_by_the_count
    divided by how many values there are
    believed: Every average divides by the count. A weighted one divides by the sum of its weights.
    seen: Right only when a row of weights sums to S.
    - return weights / totals @ values
    + return weights @ values / weights.shape[1]

loses_the_axis_of_the_sums
    the sums lost their axis (keepdims is missing)
    believed: Dividing (T, S) by (T,) divides each row by its own sum. But shapes are matched from
        the right, so it divides each column.
    seen: 'could not be broadcast'; when T = S no error, and wrong averages.
    - totals = weights.sum(axis=-1, keepdims=True)
    + totals = weights.sum(axis=1)

takes_softmax_of_the_weights
    softmax of the weights instead of their shares
    believed: Weights come from a softmax. But that turns scores into weights, and these are weights
        already.
    seen: Blends that are too even, and a weight of 0 still counts.
    - return weights / totals @ values
    + shares = np.exp(weights - weights.max(axis=1, keepdims=True))
    + return shares / shares.sum(axis=1, keepdims=True) @ values

adds_a_little_to_the_sums
    a small number was added to the sums
    believed: + 1e-8 makes every division safe and changes nothing. It changes everything where the
        weights are small too.
    seen: Averages of tiny weights shrink towards 0.
    - return weights / totals @ values
    + return weights / (totals + 1e-8) @ values

divides_by_absolute_sums
    signs were dropped: divided by the sum of absolute weights
    believed: Weights are positive, so abs() is harmless. But where one is negative, the shares no
        longer sum to 1.
    seen: Right while all weights are positive.
    - return weights / totals @ values
    + return weights / np.abs(weights).sum(axis=1, keepdims=True) @ values

divides_by_zero
    a row that sums to 0 gives nan or infinity, and no error
    believed: Nobody asks for an average without weights. When somebody does, nan spreads from there
        to everything; an error tells them.
    seen: A warning in a corner, and nan many lines later.
    - if (totals == 0).any():
    -     row = int(np.flatnonzero(totals == 0)[0])
    -     raise ValueError(
    -         "each row of weights must have a sum other than 0, "
    -         f"got 0 in row {row}."
    -     )

gives_zeros_without_weights
    a row that sums to 0 gives zeros, and no error
    believed: No weights, no average, so 0. But 0 is a value like any other, and hides the mistake
        of whoever made the weights.
    seen: Rows of zeros that nobody asks about.
    - if (totals == 0).any():
    -     row = int(np.flatnonzero(totals == 0)[0])
    -     raise ValueError(
    -         "each row of weights must have a sum other than 0, "
    -         f"got 0 in row {row}."
    -     )
    - return weights / totals @ values
    + shares = np.where(
    +     totals == 0, 0.0, weights / np.where(totals == 0, 1.0, totals)
    + )
    + return shares @ values

normalises_in_place
    the caller's weights were normalised in place
    believed: weights /= … only saves a line. But it writes into the array that the caller still
        holds.
    seen: The result is right; the caller's weights sum to 1 afterwards.
    - return weights / totals @ values
    + weights /= totals
    + return weights @ values
""")


bugs("""Affine:

StoresTheWeightTransposed
    the weight is stored the other way round, (d_in, d_out)
    believed: x @ weight is what we want, so that is how to store it. But nn.Linear stores (d_out,
        d_in), and saved weights come that way.
    seen: Saved weights do not load, or, with d_in = d_out, load and are wrong.
    reported: rasbt/LLMs-from-scratch#857
    - torch.randn(d_out, d_in) / math.sqrt(d_in)
    + torch.randn(d_in, d_out) / math.sqrt(d_in)

    - return x @ self.weight.T + self.bias
    + return x @ self.weight + self.bias

ReshapesTheWeight
    the weight was reshaped where it should be transposed
    believed: Any way to make (d_in, d_out) out of (d_out, d_in) will do. But reshape keeps the
        order in which numbers are stored, so it mixes the rows.
    seen: Every shape fits, it even learns; weights from elsewhere give nonsense.
    - return x @ self.weight.T + self.bias
    + return x @ self.weight.reshape(x.shape[-1], -1) + self.bias

ForgetsToTranspose
    the weight was not transposed
    believed: x @ weight is the linear map. The weight is stored as (d_out, d_in), so it must be
        turned first.
    seen: RuntimeError about sizes; when d_in = d_out, no error and other numbers.
    - return x @ self.weight.T + self.bias
    + return x @ self.weight + self.bias

NeverAddsTheBias
    the bias is not added
    believed: Having a parameter is enough. It must take part in forward as well.
    seen: The bias never gets a gradient and stays at 0.
    - return x @ self.weight.T + self.bias
    + return x @ self.weight.T

HasNoBias
    there is no bias at all
    believed: A linear layer only multiplies. This one is affine: it also adds a bias, which it
        learns.
    seen: Zero in, zero out, whatever is learned.
    - self.bias = nn.Parameter(torch.zeros(d_out))

    - return x @ self.weight.T + self.bias
    + return x @ self.weight.T

KeepsPlainTensors
    plain tensors instead of nn.Parameter
    believed: A tensor that is an attribute belongs to the module. But only an nn.Parameter is
        saved, moved and trained with it.
    seen: model.parameters() is empty, and the optimizer refuses an empty list.
    - self.weight = nn.Parameter(
    -     torch.randn(d_out, d_in) / math.sqrt(d_in)
    - )
    - self.bias = nn.Parameter(torch.zeros(d_out))
    + self.weight = torch.randn(d_out, d_in) / math.sqrt(d_in)
    + self.bias = torch.zeros(d_out)

KeepsTheBiasAsABuffer
    the bias is a buffer: saved, but not trained
    believed: register_buffer makes it part of the module, so it is learned. Buffers are saved and
        moved, but optimizers do not see them.
    seen: Everything works, and the bias is 0 for ever.
    - self.bias = nn.Parameter(torch.zeros(d_out))
    + self.register_buffer("bias", torch.zeros(d_out))

WrapsALinearLayer
    an nn.Linear inside gives the parameters other names
    believed: Wrapping a layer is the same as being one. But its parameters are then called
        linear.weight and linear.bias, not weight and bias.
    seen: Missing key(s) and unexpected key(s) when weights are loaded.
    - self.weight = nn.Parameter(
    -     torch.randn(d_out, d_in) / math.sqrt(d_in)
    - )
    - self.bias = nn.Parameter(torch.zeros(d_out))
    + self.linear = nn.Linear(d_in, d_out)

    - return x @ self.weight.T + self.bias
    + return self.linear(x)

AddsTheBiasFirst
    the bias is added before the multiplication
    believed: It does not matter whether one adds or multiplies first. It does: the bias has d_out
        numbers and belongs to the output.
    seen: RuntimeError about sizes, unless d_in = d_out.
    - return x @ self.weight.T + self.bias
    + return (x + self.bias) @ self.weight.T

FlattensTheBatch
    leading axes were flattened and not put back
    believed: view(-1, d_in) makes the input a table, which is all a layer needs. But the caller
        wants the axes back.
    seen: (B, T, C) in, (B·T, C) out.
    - return x @ self.weight.T + self.bias
    + return x.reshape(-1, x.shape[-1]) @ self.weight.T + self.bias

TransposesTheInput
    works for a table (rows, d_in) only
    believed: Inputs always have two axes. A batch of texts has three, a single vector has one.
    seen: Errors, or .T warnings, as soon as x has another number of axes.
    - return x @ self.weight.T + self.bias
    + return torch.mm(self.weight, x.t()).t() + self.bias

AppliesAnActivation
    negative outputs are cut to 0
    believed: A layer ends in an activation. This one does not: an activation is a step of its own.
    seen: About half of the outputs are exactly 0.
    - return x @ self.weight.T + self.bias
    + return (x @ self.weight.T + self.bias).relu()

DetachesTheParameters
    the parameters are detached in forward
    believed: .data gives the numbers, which is what a product needs. But it also cuts the
        parameters off from the gradients.
    seen: The loss does not move, and every .grad is None.
    - return x @ self.weight.T + self.bias
    + return x @ self.weight.data.T + self.bias.data

ComputesInFloat32
    computed in float32 whatever comes in
    believed: .float() only makes sure that numbers are floats. It makes them float32, whatever
        dtype came in.
    seen: 'expected … to have the same dtype' one layer later, in half precision.
    - return x @ self.weight.T + self.bias
    + return x.float() @ self.weight.float().T + self.bias.float()
""")
