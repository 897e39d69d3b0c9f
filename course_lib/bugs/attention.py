"""What goes wrong in lesson 2: softmax, attention in NumPy and in torch, self-attention."""

from . import bugs

bugs("""softmax:

exponentiates_without_shifting
    exp of the raw scores, without subtracting the maximum
    believed: Softmax does not change when a constant is subtracted, so subtracting is taken for
        decoration. It keeps exp from overflowing.
    seen: Right on small scores; nan beside an overflow warning once a score passes 709.
    - shifted = x - x.max(axis=axis, keepdims=True)
    + shifted = x

subtracts_one_maximum_for_all_rows
    the maximum of the whole array was subtracted
    believed: Any constant may be subtracted, so one maximum for the whole array will do. But a row
        far below it then becomes exp of something like -1000, which is 0.
    seen: nan (0/0) in every row whose scores lie far below the largest of another row.
    - shifted = x - x.max(axis=axis, keepdims=True)
    + shifted = x - x.max()

always_uses_the_last_axis
    axis is ignored, the last axis is always used
    believed: Softmax always runs over the last axis, so the argument can be left aside. The last
        axis is only the default: axis says which one.
    seen: Right by default; with axis=0 it is the rows that sum to 1, not the columns.
    + axis = -1
    = shifted = x - x.max(axis=axis, keepdims=True)

starts_from_the_first_axis
    axis=0 is the default instead of axis=-1
    believed: The first axis is the natural default. Here it is the last one, so that each row sums
        to 1; for a vector both are the same.
    seen: softmax(x) of a matrix has columns that sum to 1, and rows that do not.
    - x: Float[np.ndarray, "..."], axis: int = -1
    + x: Float[np.ndarray, "..."], axis: int = 0

normalises_over_the_whole_array
    normalised over the whole array, not along axis
    believed: All weights together sum to 1. They sum to 1 along the given axis: each row, or each
        column, by itself.
    seen: A vector is right; in a matrix all the entries together sum to 1.
    - return exponentials / exponentials.sum(axis=axis, keepdims=True)
    + return exponentials / exponentials.sum()

clips_large_scores
    scores were clipped to keep exp from overflowing
    believed: Cutting scores at ±50 avoids the overflow and changes nothing that matters. But it
        makes all scores beyond the cut equal, and a score of -inf gets a weight above 0.
    seen: Scores 100 and 200 get the same weight; hidden entries are about 1e-22, not 0.
    - shifted = x - x.max(axis=axis, keepdims=True)
    + shifted = np.clip(x, -50, 50)

sums_without_keepdims
    the sum lost its axis (keepdims is missing)
    believed: Dividing by the sums divides each row by its own. But without keepdims, NumPy lines
        the sums up with the columns.
    seen: ValueError about broadcasting; on a square matrix no error, and rows that do not sum to 1.
    - return exponentials / exponentials.sum(axis=axis, keepdims=True)
    + return exponentials / exponentials.sum(axis=axis)

shifts_its_input_in_place
    x itself was changed (x -= ... works in place)
    believed: x -= m is taken for short writing of x = x - m. On an array it writes into the
        caller's memory.
    seen: The weights are right; the scores plotted afterwards have become their own shift.
    - shifted = x - x.max(axis=axis, keepdims=True)
    - exponentials = np.exp(shifted)
    + x -= x.max(axis=axis, keepdims=True)
    + exponentials = np.exp(x)

returns_log_weights
    logarithms of the weights
    believed: x - log(sum(exp(x))) is the softmax in a stable form. It is the logarithm of the
        softmax: exp of it is missing.
    seen: All weights are negative or 0, and their exp sums to 1.
    - return exponentials / exponentials.sum(axis=axis, keepdims=True)
    + return shifted - np.log(exponentials.sum(axis=axis, keepdims=True))
""")


bugs("""attention_numpy:

numpy_forgets_the_scale
    scores are not divided by sqrt(D)
    believed: The scale is a detail of training. It is not: dot products of wide vectors are large,
        and without it softmax picks nearly one key.
    seen: The heat map is almost black and white, the more so the wider the head.
    reported: delzac/cntkx#10, huggingface/blog#2893
    - scores = q @ k.T / math.sqrt(q.shape[-1])
    + scores = q @ k.T

numpy_divides_by_the_width
    scores are divided by D instead of sqrt(D)
    believed: A dot product of D terms grows like D. But with random signs its typical size grows
        like sqrt(D) only.
    seen: The heat map is too even: all keys get nearly the same weight.
    - scores = q @ k.T / math.sqrt(q.shape[-1])
    + scores = q @ k.T / q.shape[-1]

numpy_scales_by_the_number_of_queries
    scores are divided by sqrt(T) instead of sqrt(D)
    believed: len(q) is taken for the length of a query. It is the number of queries.
    seen: The weights of a query change when other queries are asked beside it.
    - scores = q @ k.T / math.sqrt(q.shape[-1])
    + scores = q @ k.T / math.sqrt(len(q))

numpy_softmax_over_the_queries
    softmax over the queries instead of the keys
    believed: Softmax may run along either side of the table. It may not: a query chooses among
        keys, so each row must sum to 1.
    seen: Columns of the heat map sum to 1; some queries gather next to nothing.
    reported: labmlai/annotated_deep_learning_paper_implementations#146,
        nerminnuraydogan/vision-transformer#1, PetrochukM/PyTorch-NLP#2,
        nerdai/llms-from-scratch-rs#30
    - weights = softmax(scores, axis=-1)
    + weights = softmax(scores, axis=0)

numpy_gathers_the_keys
    the output averages the keys, not the values
    believed: What a query matches is what it gets. The keys only decide how much; what is handed
        over are the values.
    seen: The output has the width of the keys and does not move when the values change.
    - return weights @ v, weights
    + return weights @ k, weights

numpy_returns_the_weights_first
    the two results are returned in the wrong order
    believed: The weights are computed first, so they are returned first. The output comes first,
        then the weights.
    seen: The first result has one column a key and rows that sum to 1.
    - return weights @ v, weights
    + return weights, weights @ v

numpy_reshapes_the_keys
    keys were reshaped where a transpose is needed
    believed: Reshape makes (S, D) into (D, S), so the product works. But it keeps the order in
        memory and so mixes numbers of different keys.
    seen: Shapes are right and rows sum to 1; the weights have nothing to do with the keys.
    - scores = q @ k.T / math.sqrt(q.shape[-1])
    + scores = q @ k.reshape(k.shape[1], k.shape[0]) / math.sqrt(q.shape[-1])

numpy_returns_the_scores
    the scores are returned instead of the weights
    believed: The table before softmax is what attention computed, so it is what one returns. But
        the output was made with the weights: return those.
    seen: The output is right; the second result has negative entries.
    - return weights @ v, weights
    + return weights @ v, scores
""")


bugs("""attention:

forgets_the_scale
    scores are not divided by sqrt(D)
    believed: The scale is a detail of training. It is not: dot products of wide vectors are large,
        and without it softmax picks nearly one key.
    seen: The heat map is almost black and white; gradients vanish in wide heads.
    reported: delzac/cntkx#10, huggingface/blog#2893
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1)

divides_by_the_width
    scores are divided by D instead of sqrt(D)
    believed: A dot product of D terms grows like D. But with random signs its typical size grows
        like sqrt(D) only.
    seen: The heat map is too even: all keys get nearly the same weight.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1) / q.shape[-1]

multiplies_by_the_root_of_the_width
    scores are multiplied by sqrt(D)
    believed: To scale by sqrt(D) is read as to multiply by it. The scale must undo the growth of
        the dot product.
    seen: Softmax picks a single key almost everywhere, more so than without any scale.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1) * math.sqrt(q.shape[-1])

scales_for_a_width_of_64
    the scale is 1/8, right only for a head of width 64
    believed: The paper's heads are 64 wide and its scale is 1/8, so 1/8 is the scale. It depends on
        the width of the head, and is 1/8 for 64 only.
    seen: Right in a copy of the paper's model; too even a heat map in small heads.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1) * 0.125

scales_by_the_number_of_queries
    scores are divided by sqrt(T) instead of sqrt(D)
    believed: shape[-2] is taken for the width of a query. It is the number of queries.
    seen: The weights of a query change when other queries are asked beside it.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])

scales_by_the_second_axis
    the scale counts the second axis, not the last
    believed: shape[1] is the width of a matrix (T, D). But with heads in front, (B, H, T, D), it is
        the number of heads.
    seen: Right on one matrix; on batches the scale is sqrt(T) or sqrt(H). Hidden when H = D.
    reported: tenstorrent/tt-metal#56789
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[1])

softmax_over_the_queries
    softmax over the queries instead of the keys
    believed: Softmax may run along either side of the table. It may not: a query chooses among
        keys, so each row must sum to 1.
    seen: Columns of the heat map sum to 1, rows do not. Training still works, a little worse.
    reported: labmlai/annotated_deep_learning_paper_implementations#146,
        nerminnuraydogan/vision-transformer#1, PetrochukM/PyTorch-NLP#2,
        nerdai/llms-from-scratch-rs#30
    - weights = scores.softmax(dim=-1)
    + weights = scores.softmax(dim=-2)

softmax_over_axis_one
    softmax over axis 1, whatever the number of axes
    believed: Axis 1 holds the keys. It does in a table (T, S); with batches in front, the keys are
        on the last axis.
    seen: Right on one matrix, over the queries on a batch, over the heads with heads.
    - weights = scores.softmax(dim=-1)
    + weights = scores.softmax(dim=1)

subtracts_one_maximum_for_the_batch
    the maximum of all scores was subtracted from every row
    believed: Any constant may be subtracted, so one maximum for the whole batch will do. But in a
        row far below it every exp becomes 0, and the weights 0/0.
    seen: nan in a quiet text as soon as a loud one stands in the same batch.
    - weights = scores.softmax(dim=-1)
    + exponentials = (scores - scores.max()).exp()
    + weights = exponentials / exponentials.sum(dim=-1, keepdim=True)

reshapes_the_keys
    keys were reshaped where a transpose is needed
    believed: Reshape makes (S, D) into (D, S), so the product works. But it keeps the order in
        memory and so mixes numbers of different keys.
    seen: Shapes are right and rows sum to 1; the weights have nothing to do with the keys.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = (
    +     q
    +     @ k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    +     / math.sqrt(q.shape[-1])
    + )

transposes_the_first_two_axes
    axes 0 and 1 of the keys were swapped, not the last two
    believed: transpose(0, 1) turns a matrix, so it turns the keys. But in a batch axis 0 is the
        batch; the keys lie on the last two axes.
    seen: Right on one matrix; on a batch a RuntimeError about sizes that do not match.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(0, 1) / math.sqrt(q.shape[-1])

lets_the_keys_ask
    the keys ask the queries (k qᵀ instead of q kᵀ)
    believed: A dot product does not care for the order, so k qᵀ is as good as q kᵀ. But then every
        number stands in the transposed place.
    seen: The heat map is mirrored before softmax; with T != S the shapes do not fit.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])

transposes_the_weights
    the weights were transposed before they met the values
    believed: The weights must be turned before they meet the values. They fit as they are: row t
        says what query t takes from each key.
    seen: The weights are right, the output is not; with T != S the shapes do not fit.
    - return weights @ v, weights
    + return weights.transpose(-2, -1) @ v, weights

gathers_the_keys
    the output averages the keys, not the values
    believed: What a query matches is what it gets. The keys only decide how much; what is handed
        over are the values.
    seen: The output has the width of the keys, and the values get no gradient.
    - return weights @ v, weights
    + return weights @ k, weights

returns_the_weights_first
    the two results are returned in the wrong order
    believed: The weights are computed first, so they are returned first. The output comes first,
        then the weights.
    seen: The first result has one column a key and rows that sum to 1.
    - return weights @ v, weights
    + return weights, weights @ v

returns_only_the_output
    only the output is returned, the weights are missing
    believed: The output is the result, and the weights are a step on the way. Here both are
        returned, the output first.
    seen: 'too many values to unpack', or a batch of two quietly split into two results.
    - return weights @ v, weights
    + return weights @ v

detaches_the_weights
    the weights were detached: no gradient reaches q and k
    believed: The weights are there to be looked at, so they need no gradient. But it is through
        them that queries and keys learn.
    seen: All values are right; the gradients of q and k are missing, and only v learns.
    - weights = scores.softmax(dim=-1)
    + weights = scores.softmax(dim=-1).detach()

scales_the_queries_in_place
    q itself was changed (q /= ... works in place)
    believed: q /= s is taken for short writing of q = q / s. On a tensor it writes into the
        caller's memory.
    seen: The second call with the same q gives other weights; a leaf that needs its gradient raises
        RuntimeError.
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + q /= math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1)

stays_in_float32
    results come back in float32, whatever the inputs were
    believed: Softmax is safer in float32. That is so for half precision only, and even then the
        results go back to the dtype of the inputs.
    seen: Right in float32; the next layer of a float16 or float64 model meets another dtype.
    + q, k, v = q.float(), k.float(), v.float()
    = scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
""")


bugs("""SelfAttention:

ScalesByTheModelWidth
    scores are scaled by the model's width, not the head's
    believed: x has C channels, so the scale is 1/sqrt(C). But the dot products run over the D
        numbers of a head.
    seen: Right when d_head = d_model; a heat map that is too even in every narrower head.
    reported: karpathy/ng-video-lecture#6, aladdinpersson/Machine-Learning-Collection#159,
        rezazad68/TMUnet#13, FareedKhan-dev/train-llm-from-scratch#3, lucidrains/vit-pytorch#65
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    - return output
    + scores = (
    +     self.query(x)
    +     @ self.key(x).transpose(-2, -1)
    +     * x.shape[-1] ** -0.5
    + )
    + return scores.softmax(dim=-1) @ self.value(x)

ReadsValuesFromTheKeyLayer
    the values came from the key layer
    believed: Three lines so alike can be copied. One name was then not changed: the values must
        come from their own layer, or it never learns.
    seen: The value layer gets no gradient and never changes in training.
    reported: yflyzhang/AnnotatedTransformer#1
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    + output, _ = attention(self.query(x), self.key(x), self.key(x))

SwapsKeysAndValues
    keys and values are swapped
    believed: The three layers are alike, so their order does not matter. It does not while one
        trains from scratch, and it does as soon as weights are loaded.
    seen: Trains like the right one; a loaded checkpoint talks nonsense.
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    + output, _ = attention(self.query(x), self.value(x), self.key(x))

SwapsQueriesAndKeys
    queries and keys are swapped
    believed: A dot product does not care for the order. The table does: its rows belong to the
        queries, who ask.
    seen: The heat map before softmax is mirrored: who looked at whom is turned around.
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    + output, _ = attention(self.key(x), self.query(x), self.value(x))

KeepsTheBiases
    the three layers have biases
    believed: nn.Linear(d_model, d_head) only multiplies. It also adds a bias unless told otherwise;
        here there is none.
    seen: query.bias, key.bias and value.bias stand in the state_dict; loading complains.
    - self.query = nn.Linear(d_model, d_head, bias=False)
    - self.key = nn.Linear(d_model, d_head, bias=False)
    - self.value = nn.Linear(d_model, d_head, bias=False)
    + self.query = nn.Linear(d_model, d_head)
    + self.key = nn.Linear(d_model, d_head)
    + self.value = nn.Linear(d_model, d_head)

SharesOneLayerForQueryAndKey
    query and key are one and the same layer
    believed: a = b = nn.Linear(...) is taken to make two layers. It makes one layer with two names.
    seen: The scores are symmetric and every position looks mostly at itself.
    - self.query = nn.Linear(d_model, d_head, bias=False)
    - self.key = nn.Linear(d_model, d_head, bias=False)
    + self.query = self.key = nn.Linear(d_model, d_head, bias=False)

ReturnsTheWeightsToo
    the weights are returned beside the output
    believed: attention returns two things, so the module that calls it does too. The module returns
        the output alone.
    seen: The next layer complains: a tuple where a tensor was expected.
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    - return output
    + return attention(self.query(x), self.key(x), self.value(x))

AddsTheInput
    the input was added to the output
    believed: The residual connection belongs to attention. It belongs to the block around it, and
        needs d_head = d_model.
    seen: RuntimeError about sizes; when d_head = d_model, the output is x too much.
    - return output
    + return x + output

LetsTextsReadEachOther
    the texts of a batch attend to each other
    believed: A linear layer may flatten its batch, so attention may. But attention mixes all
        positions it is given, and then the texts with them.
    seen: The answer for a text changes with the texts beside it; alone it is right.
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    - return output
    + tokens = x.reshape(-1, x.shape[-1])
    + output, _ = attention(
    +     self.query(tokens), self.key(tokens), self.value(tokens)
    + )
    + return output.reshape(*x.shape[:-1], -1)

NeedsExactlyThreeAxes
    works for exactly three axes (B, T, C) only
    believed: x always has the axes (B, T, C). It may be a single text, or have more axes in front.
    seen: RuntimeError 'batch1 must be a 3D tensor' on a single text.
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    - return output
    + q, k, v = self.query(x), self.key(x), self.value(x)
    + weights = (
    +     torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])
    + ).softmax(dim=-1)
    + return torch.bmm(weights, v)

MultipliesByTheWeightsUntransposed
    x was multiplied by the weights untransposed
    believed: A layer computes x @ weight. But torch keeps the weight as (d_out, d_in), so the layer
        turns it first.
    seen: RuntimeError about sizes; silently other numbers when d_head = d_model.
    reported: rasbt/LLMs-from-scratch#857
    - output, _ = attention(self.query(x), self.key(x), self.value(x))
    + q, k, v = (
    +     x @ self.query.weight,
    +     x @ self.key.weight,
    +     x @ self.value.weight,
    + )
    + output, _ = attention(q, k, v)
""")
