"""What goes wrong in lesson 4: heads cut and joined wrongly, masks that meet the wrong axis."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.masking import masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads

from . import bug

# --- split_heads -----------------------------------------------------------------------------


@bug(
    "split_heads",
    title="cut by a view alone: heads are pieces of the text, not of the channels",
    misconception="view(…, H, T, D) gives the right shape, so it is right. A view keeps the order "
    "in memory, where the channels of a position stand together.",
    symptom="No error, and the loss falls, only not as far. With causal masks the future leaks.",
    threads=(
        "reczoo/FuxiCTR#30",
        "zhouhaoyi/Informer2020#59",
        "datawhalechina/deep-learning-notes#11",
    ),
)
def splits_by_a_view_alone(x, n_heads):
    *lead, n_tokens, d_model = x.shape
    if d_model % n_heads:
        raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
    return x.reshape(*lead, n_heads, n_tokens, d_model // n_heads)


@bug(
    "split_heads",
    title="head h owns every H-th channel, not a block of neighbours",
    misconception="(D, H) and (H, D) are both H groups of D. They group other channels: h, h + H, "
    "h + 2H, … instead of h·D, h·D + 1, ….",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
def splits_head_minor(x, n_heads):
    *lead, n_tokens, d_model = x.shape
    if d_model % n_heads:
        raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
    by_channel = x.reshape(*lead, n_tokens, d_model // n_heads, n_heads)
    return by_channel.movedim(-1, -3)


@bug(
    "split_heads",
    title="the heads are left behind the positions: (T, H, D), not (H, T, D)",
    misconception="Cutting the channels is all there is to it. Attention works on the last two "
    "axes, and these must be positions and channels.",
    symptom="Heads attend to each other instead of positions; a mask (T, S) no longer fits.",
)
def leaves_the_heads_behind_the_positions(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads must divide {x.shape[-1]}, got n_heads={n_heads}.")
    return x.unflatten(-1, (n_heads, -1))


@bug(
    "split_heads",
    title="D heads of width H, not H heads of width D",
    misconception="The number of heads was taken for the width of a head.",
    symptom="Right where H = D. Elsewhere the shape is off, and so is the scale, 1 / sqrt(D).",
)
def takes_the_number_for_the_width(x, n_heads):
    d_model = x.shape[-1]
    if d_model % n_heads:
        raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
    return x.unflatten(-1, (d_model // n_heads, n_heads)).transpose(-3, -2)


@bug(
    "split_heads",
    title="the head axis went in front of all axes, the batch too",
    misconception="Heads come first. They come first within a text: (B, H, T, D).",
    symptom="Right for a single text. With B = H no shape tells; texts and heads are exchanged.",
)
def puts_heads_before_texts(x, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError(f"n_heads must divide {x.shape[-1]}, got n_heads={n_heads}.")
    return x.unflatten(-1, (n_heads, -1)).movedim(-2, 0)


@bug(
    "split_heads",
    title="exactly one leading axis is expected",
    misconception="x is always (B, T, C). `...` stands for any number of leading axes, also none.",
    symptom="ValueError 'not enough values to unpack' for a single text without a batch.",
)
def expects_one_leading_axis(x, n_heads):
    n_texts, n_tokens, d_model = x.shape
    if d_model % n_heads:
        raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
    return x.view(n_texts, n_tokens, n_heads, d_model // n_heads).transpose(1, 2)


@bug(
    "split_heads",
    title="channels that do not fit are dropped without a word",
    misconception="C // H is the width of a head. With a remainder it leaves channels over.",
    symptom="No error for n_heads=3 and 8 channels, and the last two are never used.",
)
def drops_what_does_not_fit(x, n_heads):
    d_head = x.shape[-1] // n_heads
    return x[..., : n_heads * d_head].unflatten(-1, (n_heads, d_head)).transpose(-3, -2)


@bug(
    "split_heads",
    title="the wrong n_heads is refused by assert: AssertionError, not ValueError",
    misconception="assert checks arguments. It is for what cannot happen, and python -O skips it.",
    symptom="Code that expects ValueError does not catch it; with -O nothing is checked.",
)
def asserts_that_heads_divide(x, n_heads):
    assert x.shape[-1] % n_heads == 0, f"n_heads={n_heads} does not divide {x.shape[-1]}"
    return x.unflatten(-1, (n_heads, -1)).transpose(-3, -2)


# --- merge_heads -----------------------------------------------------------------------------


@bug(
    "merge_heads",
    title="joined by a reshape alone: a position gets pieces of other positions",
    misconception="reshape(…, T, C) has the right shape, so it is right. Head 0 of all positions "
    "stands first in memory, and fills the first positions.",
    symptom="No error, and the loss still falls; with causal masks the future leaks.",
    threads=(
        "jsbaan/transformer-from-scratch#6",
        "huggingface/pytorch-image-models#2388",
        "hackiey/QAnet-pytorch#2",
        "zhouhaoyi/Informer2020#100",
    ),
)
def merges_by_a_reshape_alone(x):
    *lead, n_heads, n_tokens, d_head = x.shape
    return x.reshape(*lead, n_tokens, n_heads * d_head)


@bug(
    "merge_heads",
    title="the heads' channels are interleaved: first channels first, then all second ones",
    misconception="The heads may be joined in any order, for a layer comes after. That layer's "
    "weights belong to one order.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
def merges_head_minor(x):
    return x.movedim(-3, -1).flatten(start_dim=-2)


@bug(
    "merge_heads",
    title="the heads are summed instead of put side by side",
    misconception="Joining is adding. A sum forgets which head found what.",
    symptom="The width is D, not C: an error at the next layer.",
    threads=("awf/functional-transformer#8",),
)
def sums_the_heads(x):
    return x.sum(dim=-3)


@bug(
    "merge_heads",
    title="texts and heads were exchanged",
    misconception="transpose(0, 1) was meant to bring heads and positions together. Axis 0 is "
    "the batch.",
    symptom="With B = H no error: each text is filled with one head of all the texts.",
    threads=("gazelle93/Transformer-Various-Positional-Encoding#1",),
)
def mixes_texts_and_heads(x):
    return x.transpose(0, -3).transpose(-3, -2).flatten(start_dim=-2)


@bug(
    "merge_heads",
    title="a view of transposed axes, which view refuses",
    misconception="view joins any two neighbouring axes. It copies nothing, so they must be "
    "neighbours in memory as well.",
    symptom="RuntimeError 'view size is not compatible … Use .reshape(...) instead'.",
)
def views_what_is_not_contiguous(x):
    *lead, n_heads, n_tokens, d_head = x.shape
    return x.transpose(-3, -2).view(*lead, n_tokens, n_heads * d_head)


@bug(
    "merge_heads",
    title="the heads are transposed but not joined",
    misconception="After the transposition the channels stand side by side already. They still "
    "lie on two axes, H and D.",
    symptom="Shape (…, T, H, D): an error at the next layer.",
)
def only_transposes(x):
    return x.transpose(-3, -2)


@bug(
    "merge_heads",
    title="the axes are counted from the front: only (B, H, T, D) works",
    misconception="transpose(1, 2) exchanges heads and positions. It does for four axes; counted "
    "from the end, -3 and -2, it always does.",
    symptom="Right for a batch. A single text, (H, T, D), comes back scrambled.",
)
def counts_axes_from_the_front(x):
    return x.transpose(1, 2).flatten(start_dim=-2)


# --- MultiHeadAttention ----------------------------------------------------------------------


@bug(
    "MultiHeadAttention",
    title="the heads are cut by a view alone, and are pieces of the text",
    misconception="view(B, H, T, D) gives the right shape, so it is right. The channels of "
    "a position stand together in memory; cut first, then transpose.",
    symptom="No error, and the loss falls, only not as far. With causal masks the future leaks.",
    threads=("reczoo/FuxiCTR#30", "649453932/Chinese-Text-Classification-Pytorch#10"),
)
class CutsHeadsByAView(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        shape = (len(x), self.n_heads, x.shape[1], -1)
        q, k, v = (a.reshape(shape) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the heads are joined by a reshape alone, across positions",
    misconception="reshape(B, T, C) gives the right shape, so it is right. Head 0 of all "
    "positions stands first in memory; transpose first.",
    symptom="No error, and the loss still falls; with causal masks the future leaks.",
    threads=("jsbaan/transformer-from-scratch#6", "huggingface/pytorch-image-models#2388"),
)
class JoinsHeadsByAReshape(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out((self.dropout(weights) @ v).reshape(x.shape)))


@bug(
    "MultiHeadAttention",
    title="cut and joined by views alone: each head sees a stretch of the text",
    misconception="What the first view does, the second undoes. In between, attention has "
    "compared pieces of different positions.",
    symptom="No error and no leak, but each head sees a stretch of the text alone: the "
    "more heads, the shorter.",
    threads=("649453932/Chinese-Text-Classification-Pytorch#10", "reczoo/FuxiCTR#30"),
)
class CutsAndJoinsByViews(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        shape = (len(x), self.n_heads, x.shape[1], -1)
        q, k, v = (a.reshape(shape) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out((self.dropout(weights) @ v).reshape(x.shape)))


@bug(
    "MultiHeadAttention",
    title="head h owns every H-th channel, not a block of neighbours",
    misconception="(D, H) and (H, D) are both H groups of D channels. They are other "
    "groups, and weights belong to one grouping.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class DealsChannelsOneByOne(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        n_texts, n_tokens, d_model = x.shape
        shape = (n_texts, n_tokens, d_model // self.n_heads, self.n_heads)
        q, k, v = (a.reshape(shape).permute(0, 3, 1, 2) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        gathered = (self.dropout(weights) @ v).permute(0, 2, 3, 1)  # (B, T, D, H)
        return self.dropout(self.out(gathered.flatten(start_dim=-2)))


@bug(
    "MultiHeadAttention",
    title="cut with every H-th channel to a head, joined in blocks",
    misconception="Splitting and merging need not agree. Each must put the channels where "
    "the layers expect them.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class DealsChannelsOneByOneButJoinsBlocks(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        n_texts, n_tokens, d_model = x.shape
        shape = (n_texts, n_tokens, d_model // self.n_heads, self.n_heads)
        q, k, v = (a.reshape(shape).permute(0, 3, 1, 2) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="qkv is read head by head: q, k, v of head 0, then of head 1, and so on",
    misconception="Cutting into heads first and into three afterwards is the same. Other "
    "models do store it so; here all queries come first.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
    threads=("Lightning-AI/litgpt#1013",),
)
class ReadsQkvHeadByHead(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = split_heads(self.qkv(x), self.n_heads).chunk(3, dim=-1)
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="keys and queries are exchanged: qkv was read as k, q, v",
    misconception="The order of the three does not matter. It does as soon as weights come "
    "from elsewhere.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class ReadsKeysFirst(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        k, q, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="values come first: qkv was read as v, k, q",
    misconception="The order of the three does not matter. It does as soon as weights come "
    "from elsewhere.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class ReadsValuesFirst(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        v, k, q = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the keys are used as values too",
    misconception="A copied line: the value was made from the key's part.",
    symptom="No error. The third part of qkv gets no gradient.",
    threads=("yflyzhang/AnnotatedTransformer#1",),
)
class UsesKeysAsValues(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, _ = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        v = k
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="scores are scaled by the model's width C, not the head's D",
    misconception="The paper divides by sqrt(d_k), and C is the d at hand. Each dot "
    "product runs over D channels only.",
    symptom="Weights are too even, the more so the more heads. Training is slower, nothing fails.",
    threads=(
        "karpathy/ng-video-lecture#6",
        "aladdinpersson/Machine-Learning-Collection#159",
        "rezazad68/TMUnet#13",
        "FareedKhan-dev/train-llm-from-scratch#3",
    ),
)
class ScalesByTheModelsWidth(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        too_small = q / math.sqrt(self.n_heads)  # sqrt(C) = sqrt(D) * sqrt(H)
        _, weights = masked_attention(too_small, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="scores are not divided by sqrt(D)",
    misconception="The scale is a detail. Without it, scores grow with D, and softmax "
    "picks one key.",
    symptom="Weights near 0 and 1, small gradients, slow training.",
    threads=("delzac/cntkx#10", "huggingface/blog#2893"),
)
class DoesNotScale(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q * math.sqrt(q.shape[-1]), k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="scores are divided by sqrt(H), not by sqrt(D)",
    misconception="The number of heads was taken for the width of a head.",
    symptom="Right where H = D. Elsewhere the weights are too sharp or too even.",
    threads=("tenstorrent/tt-metal#56789",),
)
class ScalesByTheNumberOfHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        scaled = q * math.sqrt(q.shape[-1] / self.n_heads)
        _, weights = masked_attention(scaled, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="softmax over the heads instead of the keys",
    misconception="dim=1 is the axis after the batch. In (B, H, T, S) that is the heads; "
    "the keys are last.",
    symptom="Each row of weights sums to something else. With one head all weights are 1.",
)
class SoftmaxOverTheHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=1)
        weights = weights if mask is None else weights.masked_fill(~mask, 0.0)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the mask is ignored",
    misconception="The argument was added and never passed on.",
    symptom="Padding is read, and in a GPT the future: a loss too good to be true.",
)
class ForgetsTheMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the mask was inverted",
    misconception="True is taken for 'hide this', as nn.MultiheadAttention has it. Here "
    "True means may attend.",
    symptom="The future is read and the past is not; the last row of a causal mask is empty.",
    threads=("rasbt/LLMs-from-scratch#1061", "pytorch/pytorch#29546"),
)
class HidesWhatIsAllowed(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else ~mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="without a mask it is causal",
    misconception="Attention in a GPT is causal. This layer obeys the mask it is given, "
    "and None allows everything.",
    symptom="Right in a GPT; in an encoder half of the text is never read.",
)
class IsAlwaysCausal(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        n_tokens = x.shape[1]
        if mask is None:
            mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=x.device).tril()
        mask = mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the mask (B, T, S) has no head axis: texts are taken for heads",
    misconception="Masks broadcast by themselves. Aligned from the right, B meets the axis "
    "of the heads.",
    symptom="An error while B and H differ. With B = H, or B = 1, no error; each head gets "
    "a text's mask.",
)
class TakesTextsForHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the masks are repeated in the wrong order: for heads, then texts",
    misconception="repeat(H, 1, 1) gives each text its mask H times in a row. It tiles: "
    "all texts once, then again.",
    symptom="Texts are masked with the padding of their neighbours in the batch; one text "
    "alone is right.",
    threads=(
        "line/lighthouse#77",
        "ArrowLuo/CLIP4Clip#22",
        "lsdefine/attention-is-all-you-need-keras#36",
    ),
)
class RepeatsMasksInTheWrongOrder(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        if mask is not None:
            mask = mask.expand(len(x), -1, -1).repeat(self.n_heads, 1, 1)
            mask = mask.unflatten(0, (len(x), self.n_heads))
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the first text's mask is used for the whole batch",
    misconception="All texts are masked alike. Their lengths differ, and so do their masks.",
    symptom="Right for one text, or texts of one length.",
)
class UsesTheFirstTextsMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = mask[0] if mask is not None and mask.dim() == 3 else mask
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="two axes were put before every mask: (B, T, S) no longer fits",
    misconception="A mask is (T, S), and scores are (B, H, T, S). With padding there is "
    "one for each text, and it lacks the heads only.",
    symptom="Right with a causal mask. An error, or five axes, as soon as a batch has padding.",
)
class PutsTwoAxesBeforeEveryMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask[None, None]
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="there is no output layer .out",
    misconception="Merging the heads finishes the work. Without .out no channel of one "
    "head ever meets another's.",
    symptom="Missing key 'out.weight' when weights are loaded.",
    threads=(
        "Kyubyong/transformer#17",
        "Kyubyong/transformer#117",
        "jwallbridge/translob#4",
        "awf/functional-transformer#8",
    ),
)
class HasNoOutputLayer(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(merge_heads(self.dropout(weights) @ v))


@bug(
    "MultiHeadAttention",
    title="the output layer .out is there and never used",
    misconception="Made in __init__, forgotten in forward.",
    symptom="No error. The gradient of out.weight stays None.",
)
class NeverUsesTheOutputLayer(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(merge_heads(self.dropout(weights) @ v))


@bug(
    "MultiHeadAttention",
    title="bias=False is obeyed by qkv only: .out still has a bias",
    misconception="bias is about queries, keys and values. It is about both layers.",
    symptom="Unexpected key 'out.bias' when weights are loaded.",
)
class KeepsTheBiasOfOut(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="bias=False is ignored: both layers have a bias",
    misconception="The argument was added to the signature and never passed on.",
    symptom="Unexpected keys when weights without bias are loaded.",
)
class IgnoresBias(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="query, key and value are three layers, not one .qkv",
    misconception="Three layers compute the same. They do, under other names, and weights "
    "are found by name.",
    symptom="Missing keys when weights are loaded; otherwise as good.",
)
class HasThreeLayers(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        layers = (self.query, self.key, self.value)
        q, k, v = (split_heads(layer(x), self.n_heads) for layer in layers)
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="dropout on the output only, not on the weights",
    misconception="One dropout is enough. The one on the weights hides single keys from "
    "single queries.",
    symptom="Overfits a little sooner; no other sign.",
)
class DropsOnlyTheOutput(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(weights @ v)))


@bug(
    "MultiHeadAttention",
    title="dropout on the weights only, not on the output",
    misconception="One dropout is enough. The one on the output acts on what goes into the "
    "residual stream.",
    symptom="Overfits a little sooner; no other sign.",
)
class DropsOnlyTheWeights(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.out(merge_heads(self.dropout(weights) @ v))


@bug(
    "MultiHeadAttention",
    title="dropout is ignored",
    misconception="The argument was stored and never used.",
    symptom="Training and evaluation agree to the last digit; the model overfits.",
)
class DropsNothing(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.out(merge_heads(weights @ v))


@bug(
    "MultiHeadAttention",
    title="the second dropout acts before .out, not after it",
    misconception="Dropout goes between any two steps. The contract has it on the output.",
    symptom="No output is ever exactly 0; the bias of .out is never dropped.",
)
class DropsBeforeTheOutputLayer(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.out(self.dropout(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="dropout acts in evaluation too",
    misconception="F.dropout knows the mode. It does not: without training=self.training "
    "it always drops.",
    symptom="Two calls of model.eval() differ; generated text is worse than the loss promises.",
    threads=(
        "karpathy/nanoGPT#240",
        "pytorch/pytorch#124464",
        "huggingface/pytorch-image-models#1978",
    ),
)
class DropsInEvaluationToo(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        gathered = F.dropout(weights, self.dropout.p) @ v
        return F.dropout(self.out(merge_heads(gathered)), self.dropout.p)


@bug(
    "MultiHeadAttention",
    title="dropout on the weights acts in evaluation too",
    misconception="dropout_p of torch's attention, or F.dropout, knows the mode. It must "
    "be told: 0 in evaluation.",
    symptom="Two calls of model.eval() differ; generated text is worse than the loss promises.",
    threads=(
        "karpathy/nanoGPT#240",
        "pytorch/pytorch#124464",
        "huggingface/pytorch-image-models#1978",
    ),
)
class DropsWeightsInEvaluationToo(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        gathered = F.dropout(weights, self.dropout.p) @ v
        return self.dropout(self.out(merge_heads(gathered)))


@bug(
    "MultiHeadAttention",
    title="dropout=p keeps a share p, instead of dropping it",
    misconception="In some old libraries the number was the share to keep. In torch it is "
    "the share to drop.",
    symptom="With dropout=0.1 training hardly moves: nine tenths are gone.",
)
class KeepsWhatItShouldDrop(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(1 - dropout if dropout else 0.0)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="an n_heads that does not divide d_model is accepted",
    misconception="C // H is the width of a head. With a remainder it leaves channels over.",
    symptom="The layer is made; the first call fails somewhere inside, or channels go missing.",
)
class DividesWithoutLooking(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        shape = (len(x), x.shape[1], self.n_heads, -1)
        q, k, v = (a.reshape(shape).transpose(1, 2) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the wrong n_heads is refused by assert: AssertionError, not ValueError",
    misconception="assert checks arguments. It is for what cannot happen, and python -O skips it.",
    symptom="Code that expects ValueError does not catch it; with -O nothing is checked.",
)
class AssertsThatHeadsDivide(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        assert d_model % n_heads == 0, f"n_heads={n_heads} does not divide {d_model}"
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="a mask made inside is always on the CPU",
    misconception="Tensors meet wherever they are. They must be on one device.",
    symptom="Right on a laptop; on a GPU 'Expected all tensors to be on the same device'.",
)
class MakesTheMaskOnTheCpu(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        everything = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
        mask = everything if mask is None else mask.unsqueeze(-3) & everything
        _, weights = masked_attention(q, k, v, mask)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="the mask itself is changed",
    misconception="logical_not_ and friends are quicker. They write into the caller's "
    "mask, which the next layer uses.",
    symptom="The first layer is right, the second gets an inverted mask.",
)
class ChangesTheMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if mask is not None:
            hidden = mask.unsqueeze(-3).logical_not_()
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        weights = weights if mask is None else weights.masked_fill(hidden, 0.0)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="masked after softmax, without renormalising",
    misconception="A weight of 0 hides a key at any time. Each row was divided by a sum "
    "that the hidden scores took part in.",
    symptom="Rows of weights sum to less than 1, and the loss is a bit too good.",
    threads=("huggingface/pytorch-image-models#2236",),
)
class MasksAfterSoftmax(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        _, weights = masked_attention(q, k, v)
        weights = weights if mask is None else weights * mask
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))


@bug(
    "MultiHeadAttention",
    title="a query with nothing to attend to gives nan",
    misconception="Some key is always left. Padding in front, or an empty text, leaves "
    "none: 0 / 0.",
    symptom="nan spreads from one padded text to the loss and every weight.",
    threads=("pytorch/pytorch#103963",),
)
class AnswersEmptyQueriesWithNan(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide {d_model}, got n_heads={n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
        mask = None if mask is None else mask.unsqueeze(-3)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(dim=-1)
        return self.dropout(self.out(merge_heads(self.dropout(weights) @ v)))
