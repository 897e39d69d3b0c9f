"""What goes wrong in lesson 2: softmax, attention in NumPy and in torch, self-attention."""

import math

import numpy as np
import torch
from torch import nn

from course_lib.transformer.attention import attention, softmax

from . import bug

# --- softmax ---------------------------------------------------------------------------------


@bug(
    "softmax",
    title="exp of the raw scores, without subtracting the maximum",
    misconception="Softmax does not change when a constant is subtracted, so subtracting is "
    "taken for decoration. It keeps exp from overflowing.",
    symptom="Right on small scores; nan beside an overflow warning once a score passes 709.",
)
def exponentiates_without_shifting(x, axis=-1):
    with np.errstate(over="ignore", invalid="ignore"):
        exponentials = np.exp(x)
        return exponentials / exponentials.sum(axis=axis, keepdims=True)


@bug(
    "softmax",
    title="the maximum of the whole array was subtracted",
    misconception="Any constant may be subtracted, so one maximum for the whole array will do. "
    "A row far below it then becomes exp of something like -1000, which is 0.",
    symptom="nan (0/0) in every row whose scores lie far below the largest of another row.",
)
def subtracts_one_maximum_for_all_rows(x, axis=-1):
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(x - x.max())
        return exponentials / exponentials.sum(axis=axis, keepdims=True)


@bug(
    "softmax",
    title="axis is ignored, the last axis is always used",
    misconception="Softmax always runs over the last axis, so the argument need not be passed on.",
    symptom="Right by default; with axis=0 it is the rows that sum to 1, not the columns.",
)
def always_uses_the_last_axis(x, axis=-1):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@bug(
    "softmax",
    title="axis=0 is the default instead of axis=-1",
    misconception="The first axis is the natural one to start from. For a vector it is also the "
    "last, so the first example works.",
    symptom="softmax(x) of a matrix has columns that sum to 1, and rows that do not.",
)
def starts_from_the_first_axis(x, axis=0):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@bug(
    "softmax",
    title="normalised over the whole array, not along axis",
    misconception="The weights must sum to 1, so divide by the sum. Which weights belong "
    "together was not asked.",
    symptom="A vector is right; in a matrix all the entries together sum to 1.",
)
def normalises_over_the_whole_array(x, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum()


@bug(
    "softmax",
    title="scores were clipped to keep exp from overflowing",
    misconception="Cutting scores at ±50 avoids the overflow and changes nothing that matters. "
    "It makes all scores beyond the cut equal, and a score of -inf gets a weight above 0.",
    symptom="Scores 100 and 200 get the same weight; hidden entries are about 1e-22, not 0.",
)
def clips_large_scores(x, axis=-1):
    exponentials = np.exp(np.clip(x, -50, 50))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@bug(
    "softmax",
    title="the sum lost its axis (keepdims is missing)",
    misconception="A sum over the rows divides the rows by itself. Without keepdims, NumPy lines "
    "the sums up with the columns instead.",
    symptom="ValueError about broadcasting; on a square matrix no error, and rows that do not "
    "sum to 1.",
)
def sums_without_keepdims(x, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis)


@bug(
    "softmax",
    title="x itself was changed (x -= ... works in place)",
    misconception="x -= m is taken for short writing of x = x - m. On an array it writes into "
    "the caller's memory.",
    symptom="The weights are right; the scores plotted afterwards have become their own shift.",
)
def shifts_its_input_in_place(x, axis=-1):
    x -= x.max(axis=axis, keepdims=True)
    exponentials = np.exp(x)
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@bug(
    "softmax",
    title="logarithms of the weights",
    misconception="x - log(sum(exp(x))) is the stable softmax. It is the stable log-softmax: one "
    "exp is missing.",
    symptom="All weights are negative or 0, and their exp sums to 1.",
)
def returns_log_weights(x, axis=-1):
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


# --- attention_numpy -------------------------------------------------------------------------


@bug(
    "attention_numpy",
    title="scores are not divided by sqrt(D)",
    misconception="The scale is a detail of training. Dot products of wide vectors are large, "
    "and without it softmax picks nearly one key.",
    symptom="The heat map is almost black and white, the more so the wider the head.",
    threads=("delzac/cntkx#10", "huggingface/blog#2893"),
)
def numpy_forgets_the_scale(q, k, v):
    weights = softmax(q @ k.T, axis=-1)
    return weights @ v, weights


@bug(
    "attention_numpy",
    title="scores are divided by D instead of sqrt(D)",
    misconception="A dot product of D terms grows like D. With random signs its typical size "
    "grows like sqrt(D) only.",
    symptom="The heat map is too even: all keys get nearly the same weight.",
)
def numpy_divides_by_the_width(q, k, v):
    weights = softmax(q @ k.T / q.shape[-1], axis=-1)
    return weights @ v, weights


@bug(
    "attention_numpy",
    title="scores are divided by sqrt(T) instead of sqrt(D)",
    misconception="len(q) is taken for the length of a query. It is the number of queries.",
    symptom="The weights of a query change when other queries are asked beside it.",
)
def numpy_scales_by_the_number_of_queries(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(len(q)), axis=-1)
    return weights @ v, weights


@bug(
    "attention_numpy",
    title="softmax over the queries instead of the keys",
    misconception="Softmax may run along either side of the square table. A query chooses among "
    "keys, so it is each row that must sum to 1.",
    symptom="Columns of the heat map sum to 1; some queries gather next to nothing.",
    threads=(
        "labmlai/annotated_deep_learning_paper_implementations#146",
        "nerminnuraydogan/vision-transformer#1",
        "PetrochukM/PyTorch-NLP#2",
        "nerdai/llms-from-scratch-rs#30",
    ),
)
def numpy_softmax_over_the_queries(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[-1]), axis=0)
    return weights @ v, weights


@bug(
    "attention_numpy",
    title="the output averages the keys, not the values",
    misconception="What a query matches is what it gets. The keys only decide how much; what is "
    "handed over are the values.",
    symptom="The output has the width of the keys and does not move when the values change.",
)
def numpy_gathers_the_keys(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[-1]), axis=-1)
    return weights @ k, weights


@bug(
    "attention_numpy",
    title="the two results are returned in the wrong order",
    misconception="The weights are computed first, so they are returned first.",
    symptom="The first result has one column a key and rows that sum to 1.",
)
def numpy_returns_the_weights_first(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[-1]), axis=-1)
    return weights, weights @ v


@bug(
    "attention_numpy",
    title="keys were reshaped where a transpose is needed",
    misconception="Reshape makes (S, D) into (D, S), so the product works. It keeps the order in "
    "memory and so mixes numbers of different keys.",
    symptom="Shapes are right and rows sum to 1; the weights have nothing to do with the keys.",
)
def numpy_reshapes_the_keys(q, k, v):
    scores = q @ k.reshape(k.shape[1], k.shape[0]) / math.sqrt(q.shape[-1])
    weights = softmax(scores, axis=-1)
    return weights @ v, weights


@bug(
    "attention_numpy",
    title="the scores are returned instead of the weights",
    misconception="The table before softmax is what attention computed, so it is what one "
    "returns. The weights are what the output was made with.",
    symptom="The output is right; the second result has negative entries.",
)
def numpy_returns_the_scores(q, k, v):
    scores = q @ k.T / math.sqrt(q.shape[-1])
    return softmax(scores, axis=-1) @ v, scores


# --- attention -------------------------------------------------------------------------------


@bug(
    "attention",
    title="scores are not divided by sqrt(D)",
    misconception="The scale is a detail of training. Dot products of wide vectors are large, "
    "and without it softmax picks nearly one key.",
    symptom="The heat map is almost black and white; gradients vanish in wide heads.",
    threads=("delzac/cntkx#10", "huggingface/blog#2893"),
)
def forgets_the_scale(q, k, v):
    weights = (q @ k.transpose(-2, -1)).softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="scores are divided by D instead of sqrt(D)",
    misconception="A dot product of D terms grows like D. With random signs its typical size "
    "grows like sqrt(D) only.",
    symptom="The heat map is too even: all keys get nearly the same weight.",
)
def divides_by_the_width(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1]
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="scores are multiplied by sqrt(D)",
    misconception="To scale by sqrt(D) is read as to multiply by it. The scale must undo the "
    "growth of the dot product.",
    symptom="Softmax picks a single key almost everywhere, more so than without any scale.",
)
def multiplies_by_the_root_of_the_width(q, k, v):
    scores = q @ k.transpose(-2, -1) * math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="the scale is 1/8, right only for a head of width 64",
    misconception="The paper's heads are 64 wide and its scale is 1/8, so 1/8 is the scale.",
    symptom="Right in a copy of the paper's model; too even a heat map in small heads.",
)
def scales_for_a_width_of_64(q, k, v):
    scores = q @ k.transpose(-2, -1) * 0.125
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="scores are divided by sqrt(T) instead of sqrt(D)",
    misconception="shape[-2] is taken for the width of a query. It is the number of queries.",
    symptom="The weights of a query change when other queries are asked beside it.",
)
def scales_by_the_number_of_queries(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="the scale counts the second axis, not the last",
    misconception="shape[1] is the width of a matrix (T, D). With heads in front, (B, H, T, D), "
    "it is the number of heads.",
    symptom="Right on one matrix; on batches the scale is sqrt(T) or sqrt(H). Hidden when H = D.",
    threads=("tenstorrent/tt-metal#56789",),
)
def scales_by_the_second_axis(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[1])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="softmax over the queries instead of the keys",
    misconception="Softmax may run along either side of the square table. A query chooses among "
    "keys, so it is each row that must sum to 1.",
    symptom="Columns of the heat map sum to 1, rows do not. Training still works, a little worse.",
    threads=(
        "labmlai/annotated_deep_learning_paper_implementations#146",
        "nerminnuraydogan/vision-transformer#1",
        "PetrochukM/PyTorch-NLP#2",
        "nerdai/llms-from-scratch-rs#30",
    ),
)
def softmax_over_the_queries(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-2)
    return weights @ v, weights


@bug(
    "attention",
    title="softmax over axis 1, whatever the number of axes",
    misconception="Axis 1 holds the keys of a matrix (T, S), and it was left there when batches "
    "came in front.",
    symptom="Right on one matrix, over the queries on a batch, over the heads with heads.",
)
def softmax_over_axis_one(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=1)
    return weights @ v, weights


@bug(
    "attention",
    title="the maximum of all scores was subtracted from every row",
    misconception="Any constant may be subtracted, so one maximum for the whole batch will do. "
    "A row far below it underflows to 0/0.",
    symptom="nan in a quiet text as soon as a loud one stands in the same batch.",
)
def subtracts_one_maximum_for_the_batch(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    exponentials = (scores - scores.max()).exp()
    weights = exponentials / exponentials.sum(dim=-1, keepdim=True)
    return weights @ v, weights


@bug(
    "attention",
    title="keys were reshaped where a transpose is needed",
    misconception="Reshape makes (S, D) into (D, S), so the product works. It keeps the order in "
    "memory and so mixes numbers of different keys.",
    symptom="Shapes are right and rows sum to 1; the weights have nothing to do with the keys.",
)
def reshapes_the_keys(q, k, v):
    swapped = k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    weights = (q @ swapped / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="axes 0 and 1 of the keys were swapped, not the last two",
    misconception="transpose(0, 1) turns a matrix, so it turns the keys. In a batch, axis 0 is "
    "the batch.",
    symptom="Right on one matrix; on a batch a RuntimeError about sizes that do not match.",
)
def transposes_the_first_two_axes(q, k, v):
    scores = q @ k.transpose(0, 1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="the keys ask the queries (k qᵀ instead of q kᵀ)",
    misconception="A dot product does not care for the order, so k qᵀ is as good as q kᵀ. Every "
    "number is there, but in the transposed place.",
    symptom="The heat map is mirrored before softmax; with T != S the shapes do not fit.",
)
def lets_the_keys_ask(q, k, v):
    scores = k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="the weights were transposed before they met the values",
    misconception="A transpose makes the shapes fit somewhere, so one more was added. Output t "
    "then collects what all queries took from key t.",
    symptom="The weights are right, the output is not; with T != S the shapes do not fit.",
)
def transposes_the_weights(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights.transpose(-2, -1) @ v, weights


@bug(
    "attention",
    title="the output averages the keys, not the values",
    misconception="What a query matches is what it gets. The keys only decide how much; what is "
    "handed over are the values.",
    symptom="The output has the width of the keys, and the values get no gradient.",
)
def gathers_the_keys(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ k, weights


@bug(
    "attention",
    title="the two results are returned in the wrong order",
    misconception="The weights are computed first, so they are returned first.",
    symptom="The first result has one column a key and rows that sum to 1.",
)
def returns_the_weights_first(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights, weights @ v


@bug(
    "attention",
    title="only the output is returned, the weights are missing",
    misconception="The output is the result and the weights are an intermediate step.",
    symptom="'too many values to unpack', or a batch of two quietly split into two results.",
)
def returns_only_the_output(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.softmax(dim=-1) @ v


@bug(
    "attention",
    title="the weights were detached: no gradient reaches q and k",
    misconception="The weights are there to be looked at, so they need no gradient. It is through "
    "them that queries and keys learn.",
    symptom="All values are right; the gradients of q and k are missing, and only v learns.",
)
def detaches_the_weights(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1).detach()
    return weights @ v, weights


@bug(
    "attention",
    title="q itself was changed (q /= ... works in place)",
    misconception="q /= s is taken for short writing of q = q / s. On a tensor it writes into the "
    "caller's memory.",
    symptom="The second call with the same q gives other weights; a leaf that needs its gradient "
    "raises RuntimeError.",
)
def scales_the_queries_in_place(q, k, v):
    q /= math.sqrt(q.shape[-1])
    weights = (q @ k.transpose(-2, -1)).softmax(dim=-1)
    return weights @ v, weights


@bug(
    "attention",
    title="results come back in float32, whatever the inputs were",
    misconception="Softmax is safer in float32, which holds for half precision. The way back to "
    "the inputs' dtype was forgotten, and float64 loses half its digits.",
    symptom="Right in float32; the next layer of a float16 or float64 model meets another dtype.",
)
def stays_in_float32(q, k, v):
    scores = q.float() @ k.float().transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ v.float(), weights


# --- SelfAttention ---------------------------------------------------------------------------


@bug(
    "SelfAttention",
    title="scores are scaled by the model's width, not the head's",
    misconception="C stands in the same line of code, so C**-0.5 is the scale. The dot product "
    "runs over the D numbers of a head.",
    symptom="Right when d_head = d_model; a heat map that is too even in every narrower head.",
    threads=(
        "karpathy/ng-video-lecture#6",
        "aladdinpersson/Machine-Learning-Collection#159",
        "rezazad68/TMUnet#13",
        "FareedKhan-dev/train-llm-from-scratch#3",
        "lucidrains/vit-pytorch#65",
    ),
)
class ScalesByTheModelWidth(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * x.shape[-1] ** -0.5
        return scores.softmax(dim=-1) @ self.value(x)


@bug(
    "SelfAttention",
    title="the values came from the key layer",
    misconception="Three lines so alike can be copied. In one of them a name was not changed, and "
    "nothing crashes, since keys and values have the same shape.",
    symptom="The value layer gets no gradient and never changes in training.",
    threads=("yflyzhang/AnnotatedTransformer#1",),
)
class ReadsValuesFromTheKeyLayer(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        output, _ = attention(self.query(x), self.key(x), self.key(x))
        return output


@bug(
    "SelfAttention",
    title="keys and values are swapped",
    misconception="The three layers are alike, so their order does not matter. It does not while "
    "one trains from scratch, and it does as soon as weights are loaded.",
    symptom="Trains like the right one; a loaded checkpoint talks nonsense.",
)
class SwapsKeysAndValues(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        output, _ = attention(self.query(x), self.value(x), self.key(x))
        return output


@bug(
    "SelfAttention",
    title="queries and keys are swapped",
    misconception="A dot product does not care for the order. The rows of the table belong to "
    "those who ask, so it does here.",
    symptom="The heat map before softmax is mirrored: who looked at whom is turned around.",
)
class SwapsQueriesAndKeys(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        output, _ = attention(self.key(x), self.query(x), self.value(x))
        return output


@bug(
    "SelfAttention",
    title="the three layers have biases",
    misconception="nn.Linear(d_model, d_head) is the plain projection. Its bias is on by default.",
    symptom="query.bias, key.bias and value.bias stand in the state_dict; loading complains.",
)
class KeepsTheBiases(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head)
        self.key = nn.Linear(d_model, d_head)
        self.value = nn.Linear(d_model, d_head)

    def forward(self, x):
        output, _ = attention(self.query(x), self.key(x), self.value(x))
        return output


@bug(
    "SelfAttention",
    title="query and key are one and the same layer",
    misconception="a = b = nn.Linear(...) is taken to make two layers. It makes one layer with "
    "two names.",
    symptom="The scores are symmetric and every position looks mostly at itself.",
)
class SharesOneLayerForQueryAndKey(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        output, _ = attention(self.query(x), self.key(x), self.value(x))
        return output


@bug(
    "SelfAttention",
    title="the weights are returned beside the output",
    misconception="attention returns two things, so the module that calls it does too.",
    symptom="The next layer complains: a tuple where a tensor was expected.",
)
class ReturnsTheWeightsToo(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        return attention(self.query(x), self.key(x), self.value(x))


@bug(
    "SelfAttention",
    title="the input was added to the output",
    misconception="The residual connection belongs to attention. It belongs to the block around "
    "it, and needs d_head = d_model.",
    symptom="RuntimeError about sizes; when d_head = d_model, the output is x too much.",
)
class AddsTheInput(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        output, _ = attention(self.query(x), self.key(x), self.value(x))
        return x + output


@bug(
    "SelfAttention",
    title="the texts of a batch attend to each other",
    misconception="A linear layer may flatten its batch, so attention may. Attention is the one "
    "place where positions mix, and so must not.",
    symptom="The answer for a text changes with the texts beside it; alone it is right.",
)
class LetsTextsReadEachOther(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        output, _ = attention(self.query(tokens), self.key(tokens), self.value(tokens))
        return output.reshape(*x.shape[:-1], -1)


@bug(
    "SelfAttention",
    title="works for exactly three axes (B, T, C) only",
    misconception="A batch is always there, and nothing else is ever in front.",
    symptom="RuntimeError 'batch1 must be a 3D tensor' on a single text.",
)
class NeedsExactlyThreeAxes(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        weights = (torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])).softmax(dim=-1)
        return torch.bmm(weights, v)


@bug(
    "SelfAttention",
    title="x was multiplied by the weights untransposed",
    misconception="A layer computes x @ weight. torch keeps the weight as (d_out, d_in), so it "
    "computes x @ weight.T.",
    symptom="RuntimeError about sizes; silently other numbers when d_head = d_model.",
    threads=("rasbt/LLMs-from-scratch#857",),
)
class MultipliesByTheWeightsUntransposed(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        q, k, v = x @ self.query.weight, x @ self.key.weight, x @ self.value.weight
        output, _ = attention(q, k, v)
        return output
