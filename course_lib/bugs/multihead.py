"""What goes wrong in lesson 4: heads cut and joined wrongly, masks that meet the wrong axis."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.masking import masked_attention, masked_softmax
from course_lib.transformer.multihead import merge_heads, split_heads

from . import bugs, whole_bug

bugs("""split_heads:

splits_by_a_view_alone
    cut by a view alone: heads are pieces of the text, not of the channels
    believed: The shape (H, T, D) is right, so the content is. But a view keeps the order in memory,
        and a head then gets all channels of a few positions.
    seen: No error, and the loss falls, only not as far. With causal masks the future leaks.
    reported: reczoo/FuxiCTR#30, zhouhaoyi/Informer2020#59, datawhalechina/deep-learning-notes#11
    - # (..., T, C) -> (..., T, H, D)
    - by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    - return by_head.transpose(-3, -2)
    + return x.reshape(
    +     *x.shape[:-2], n_heads, x.shape[-2], d_model // n_heads
    + )

splits_head_minor
    head h owns every H-th channel, not a block of neighbours
    believed: Cutting the channels into (D, H) or into (H, D) is the same. It is not: a head owns D
        neighbouring channels.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - # (..., T, C) -> (..., T, H, D)
    - by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    - return by_head.transpose(-3, -2)
    + by_channel = x.unflatten(-1, (d_model // n_heads, n_heads))
    + return by_channel.movedim(-1, -3)

leaves_the_heads_behind_the_positions
    the heads are left behind the positions: (T, H, D), not (H, T, D)
    believed: Cutting the channels is all there is to it. But attention works on the last two axes,
        and these must be positions and channels.
    seen: Heads attend to each other instead of positions; a mask (T, S) no longer fits.
    - return by_head.transpose(-3, -2)
    + return by_head

takes_the_number_for_the_width
    D heads of width H, not H heads of width D
    believed: n_heads says how wide a head is. It says how many heads there are.
    seen: Right where H = D. Elsewhere the shape is off, and so is the scale, 1 / sqrt(D).
    - # (..., T, C) -> (..., T, H, D)
    - by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    + by_head = x.unflatten(-1, (d_model // n_heads, n_heads))

puts_heads_before_texts
    the head axis went in front of all axes, the batch too
    believed: The heads come before everything else. They come first within a text, behind the
        batch: (B, H, T, D).
    seen: Right for a single text. With B = H no shape tells; texts and heads are exchanged.
    - return by_head.transpose(-3, -2)
    + return by_head.movedim(-2, 0)

expects_one_leading_axis
    exactly one leading axis is expected
    believed: x is always (B, T, C). But `...` stands for any number of leading axes, also none.
    seen: ValueError 'not enough values to unpack' for a single text without a batch.
    - d_model = x.shape[-1]
    + n_texts, n_tokens, d_model = x.shape

drops_what_does_not_fit
    channels that do not fit are dropped without a word
    believed: C // H is the width of a head in any case. With a remainder some channels are left
        over, so such an n_heads must be refused.
    seen: No error for n_heads=3 and 8 channels, and the last two are never used.
    - if d_model % n_heads != 0:
    -     raise ValueError(
    -         "n_heads must divide the channels of x, "
    -         f"got n_heads={n_heads} and {d_model} channels."
    -     )
    - # (..., T, C) -> (..., T, H, D)
    - by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    + d_head = d_model // n_heads
    + by_head = x[..., : n_heads * d_head].unflatten(-1, (n_heads, d_head))

asserts_that_heads_divide
    the wrong n_heads is refused by assert: AssertionError, not ValueError
    believed: assert is made for checking arguments. But python -O skips it, and callers wait for
        the ValueError of the docstring.
    seen: Code that expects ValueError does not catch it; with -O nothing is checked.
    - if d_model % n_heads != 0:
    -     raise ValueError(
    -         "n_heads must divide the channels of x, "
    -         f"got n_heads={n_heads} and {d_model} channels."
    -     )
    + assert d_model % n_heads == 0, (
    +     f"n_heads={n_heads} does not divide {d_model}"
    + )

views_what_a_transpose_came_before
    view on an x that a transpose or a slice came before
    believed: view and reshape are the same. But view never copies, and refuses where the axes that
        it joins do not follow each other in memory.
    seen: Right on a fresh tensor. After a transpose: "view size is not compatible with …".
    reported: flagos-ai/FlagGems#5379
    - # (..., T, C) -> (..., T, H, D)
    - by_head = x.unflatten(-1, (n_heads, d_model // n_heads))
    + by_position = x.view(-1, d_model)  # every position a row
    + by_head = by_position.unflatten(-1, (n_heads, -1)).unflatten(
    +     0, x.shape[:-1]
    + )
""")


bugs("""merge_heads:

merges_by_a_reshape_alone
    joined by a reshape alone: a position gets pieces of other positions
    believed: The shape (T, C) is right, so the content is. But head 0 of all positions stands first
        in memory, and fills the first positions.
    seen: No error, and the loss still falls; with causal masks the future leaks.
    reported: jsbaan/transformer-from-scratch#6, huggingface/pytorch-image-models#2388,
        hackiey/QAnet-pytorch#2, zhouhaoyi/Informer2020#100
    - by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    - return by_position.flatten(start_dim=-2)
    + *lead, n_heads, n_tokens, d_head = x.shape
    + return x.reshape(*lead, n_tokens, n_heads * d_head)

merges_head_minor
    the heads' channels are interleaved: first channels first, then all second ones
    believed: The heads may be joined in any order, for a layer comes after. But that layer's
        weights belong to one order: all of head 0 first.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    + by_position = x.movedim(-3, -1)

sums_the_heads
    the heads are summed instead of put side by side
    believed: To join the heads is to add them up. A sum forgets which head found what; side by side
        they keep it.
    seen: The width is D, not C: an error at the next layer.
    reported: awf/functional-transformer#8
    - by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    - return by_position.flatten(start_dim=-2)
    + return x.sum(dim=-3)

mixes_texts_and_heads
    texts and heads were exchanged
    believed: Axis 0 holds the heads. It holds the texts of the batch; the heads are the third axis
        from the end.
    seen: With B = H no error: each text is filled with one head of all the texts.
    reported: gazelle93/Transformer-Various-Positional-Encoding#1
    - by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    + by_position = x.transpose(0, -3).transpose(-3, -2)

views_what_is_not_contiguous
    a view of transposed axes, which view refuses
    believed: view joins any two neighbouring axes. It copies nothing, so they must be neighbours in
        memory as well.
    seen: RuntimeError 'view size is not compatible … Use .reshape(...) instead'.
    - return by_position.flatten(start_dim=-2)
    + return by_position.view(*by_position.shape[:-2], -1)

only_transposes
    the heads are transposed but not joined
    believed: After the transposition the channels stand side by side already. They still lie on two
        axes, H and D.
    seen: Shape (…, T, H, D): an error at the next layer.
    - return by_position.flatten(start_dim=-2)
    + return by_position

counts_axes_from_the_front
    the axes are counted from the front: only (B, H, T, D) works
    believed: transpose(1, 2) exchanges heads and positions. It does for four axes; counted from the
        end, -3 and -2, it always does.
    seen: Right for a batch. A single text, (H, T, D), comes back scrambled.
    - by_position = x.transpose(-3, -2)  # (..., H, T, D) -> (..., T, H, D)
    + by_position = x.transpose(1, 2)
""")


bugs("""MultiHeadAttention:

CutsHeadsByAView
    the heads are cut by a view alone, and are pieces of the text
    believed: The shape (B, H, T, D) is right, so the content is. But in memory the channels of a
        position stand together: cut first, then transpose.
    seen: No error, and the loss falls, only not as far. With causal masks the future leaks.
    reported: reczoo/FuxiCTR#30, 649453932/Chinese-Text-Classification-Pytorch#10
    + shape = (len(x), self.n_heads, x.shape[1], -1)
    = q, k, v = (
    -     split_heads(part, self.n_heads)
    -     for part in self.qkv(x).chunk(3, dim=-1)
    +     part.reshape(shape) for part in self.qkv(x).chunk(3, dim=-1)

JoinsHeadsByAReshape
    the heads are joined by a reshape alone, across positions
    believed: The shape (B, T, C) is right, so the content is. But head 0 of all positions stands
        first in memory: transpose first.
    seen: No error, and the loss still falls; with causal masks the future leaks.
    reported: jsbaan/transformer-from-scratch#6, huggingface/pytorch-image-models#2388
    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.dropout(self.out(gathered.reshape(x.shape)))

CutsAndJoinsByViews
    cut and joined by views alone: each head sees a stretch of the text
    believed: What the first view does, the second undoes. But in between, attention has compared
        pieces of different positions.
    seen: No error and no leak, but each head sees a stretch of the text alone: the more heads, the
        shorter.
    reported: 649453932/Chinese-Text-Classification-Pytorch#10, reczoo/FuxiCTR#30
    + shape = (len(x), self.n_heads, x.shape[1], -1)
    = q, k, v = (
    -     split_heads(part, self.n_heads)
    -     for part in self.qkv(x).chunk(3, dim=-1)
    +     part.reshape(shape) for part in self.qkv(x).chunk(3, dim=-1)

    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.dropout(self.out(gathered.reshape(x.shape)))

DealsChannelsOneByOne
    head h owns every H-th channel, not a block of neighbours
    believed: Any H groups of D channels will do. Weights belong to one grouping: here a head owns D
        neighbouring channels.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - q, k, v = (
    -     split_heads(part, self.n_heads)
    + parts = (
    +     part.unflatten(-1, (-1, self.n_heads))

    + q, k, v = (part.permute(0, 3, 1, 2) for part in parts)
    = if mask is not None:

    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.dropout(
    +     self.out(gathered.permute(0, 2, 3, 1).flatten(-2))
    + )

DealsChannelsOneByOneButJoinsBlocks
    cut with every H-th channel to a head, joined in blocks
    believed: Cutting and joining need not agree, as layers come before and after. The weights of
        these layers expect heads of D neighbouring channels at both places.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - q, k, v = (
    -     split_heads(part, self.n_heads)
    + parts = (
    +     part.unflatten(-1, (-1, self.n_heads))

    + q, k, v = (part.permute(0, 3, 1, 2) for part in parts)
    = if mask is not None:

ReadsQkvHeadByHead
    qkv is read head by head: q, k, v of head 0, then of head 1, and so on
    believed: Cutting into heads first and into three afterwards is the same. Other models do store
        it so; here all queries come first.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    reported: Lightning-AI/litgpt#1013
    - q, k, v = (
    -     split_heads(part, self.n_heads)
    -     for part in self.qkv(x).chunk(3, dim=-1)
    - )
    + q, k, v = split_heads(self.qkv(x), self.n_heads).chunk(3, dim=-1)

ReadsKeysFirst
    keys and queries are exchanged: qkv was read as k, q, v
    believed: The order of the three does not matter. It does as soon as weights come from
        elsewhere: queries, keys, values.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - q, k, v = (
    + k, q, v = (

ReadsValuesFirst
    values come first: qkv was read as v, k, q
    believed: The order of the three does not matter. It does as soon as weights come from
        elsewhere: queries, keys, values.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - q, k, v = (
    + v, k, q = (

UsesKeysAsValues
    the keys are used as values too
    believed: The keys will do as values. Values are a part of their own, the third of qkv, and
        otherwise it never learns.
    seen: No error. The third part of qkv gets no gradient.
    reported: yflyzhang/AnnotatedTransformer#1
    - gathered = self.dropout(weights) @ v
    + gathered = self.dropout(weights) @ k

ScalesByTheModelsWidth
    scores are scaled by the model's width C, not the head's D
    believed: The paper divides by sqrt(d_k), and C is the d at hand. But each dot product runs over
        the D channels of a head.
    seen: Fresh weights are too even, the more so the more heads. Training starts a little later
        and catches up; nothing fails.
    reported: karpathy/ng-video-lecture#6, aladdinpersson/Machine-Learning-Collection#159,
        rezazad68/TMUnet#13, FareedKhan-dev/train-llm-from-scratch#3
    - _, weights = masked_attention(q, k, v, mask)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1])
    + everything = torch.ones_like(scores, dtype=torch.bool)
    + weights = masked_softmax(
    +     scores, everything if mask is None else mask
    + )

DoesNotScale
    scores are not divided by sqrt(D)
    believed: The scale is a detail. But without it, scores grow with D, and softmax picks one key.
    seen: In wide heads fresh weights near 0 and 1, small gradients, a late start. In narrow ones
        hardly a sign.
    reported: delzac/cntkx#10, huggingface/blog#2893
    - _, weights = masked_attention(q, k, v, mask)
    + scores = q @ k.transpose(-2, -1)
    + everything = torch.ones_like(scores, dtype=torch.bool)
    + weights = masked_softmax(
    +     scores, everything if mask is None else mask
    + )

ScalesByTheNumberOfHeads
    scores are divided by sqrt(H), not by sqrt(D)
    believed: n_heads is taken for the width of a head. It is the number of heads; the dot products
        run over D channels.
    seen: Right where H = D. Elsewhere the weights are too sharp or too even.
    reported: tenstorrent/tt-metal#56789
    - _, weights = masked_attention(q, k, v, mask)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(self.n_heads)
    + everything = torch.ones_like(scores, dtype=torch.bool)
    + weights = masked_softmax(
    +     scores, everything if mask is None else mask
    + )

SoftmaxOverTheHeads
    softmax over the heads instead of the keys
    believed: The axis after the batch is that of the keys. In (B, H, T, S) it is that of the heads;
        the keys are last.
    seen: Each row of weights sums to something else. With one head all weights are 1.
    - _, weights = masked_attention(q, k, v, mask)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + hidden = (
    +     torch.zeros((), dtype=torch.bool) if mask is None else ~mask
    + )
    + weights = scores.masked_fill(
    +     hidden, torch.finfo(scores.dtype).min
    + ).softmax(dim=1)
    + weights = weights.masked_fill(hidden, 0.0)

ForgetsTheMask
    the mask is ignored
    believed: A mask that forward takes is used by itself. It must be passed on to attention.
    seen: Padding is read, and in a GPT the future: a loss too good to be true.
    - _, weights = masked_attention(q, k, v, mask)
    + _, weights = masked_attention(q, k, v)

HidesWhatIsAllowed
    the mask was inverted
    believed: True is taken for 'hide this', as nn.MultiheadAttention has it. Here True means may
        attend.
    seen: The future is read and the past is not; the last row of a causal mask is empty.
    reported: rasbt/LLMs-from-scratch#1061, pytorch/pytorch#29546
    - # a head axis: without it texts are taken for heads
    - mask = mask.unsqueeze(-3)
    + mask = ~mask.unsqueeze(-3)

IsAlwaysCausal
    without a mask it is causal
    believed: Attention in a GPT is causal. But this layer obeys the mask it is given, and None
        allows everything.
    seen: Right in a GPT; in an encoder half of the text is never read.
    + if mask is None:
    +     mask = torch.ones(
    +         x.shape[1], x.shape[1], dtype=torch.bool, device=x.device
    +     ).tril()
    = if mask is not None:

TakesTextsForHeads
    the mask (B, T, S) has no head axis: texts are taken for heads
    believed: A mask (B, T, S) broadcasts by itself. But axes meet from the right, so its texts meet
        the heads: it needs an axis for them.
    seen: An error while B and H differ. With B = H, or B = 1, no error; each head gets a text's
        mask.
    - if mask is not None:
    -     # a head axis: without it texts are taken for heads
    -     mask = mask.unsqueeze(-3)

RepeatsMasksInTheWrongOrder
    the masks are repeated in the wrong order: for heads, then texts
    believed: repeat(H, 1, 1) gives each text its mask H times in a row. But it tiles: all texts
        once, then again.
    seen: Texts are masked with the padding of their neighbours in the batch; one text alone is
        right.
    reported: line/lighthouse#77, ArrowLuo/CLIP4Clip#22, lsdefine/attention-is-all-you-need-keras#36
    - # a head axis: without it texts are taken for heads
    - mask = mask.unsqueeze(-3)
    + mask = mask.expand(len(x), -1, -1).repeat(self.n_heads, 1, 1)
    + mask = mask.unflatten(0, (len(x), self.n_heads))

UsesTheFirstTextsMask
    the first text's mask is used for the whole batch
    believed: All texts are masked alike. But their lengths differ, and so do their masks.
    seen: Right for one text, or texts of one length.
    - # a head axis: without it texts are taken for heads
    - mask = mask.unsqueeze(-3)
    + mask = mask[0] if mask.dim() == 3 else mask

PutsTwoAxesBeforeEveryMask
    two axes were put before every mask: (B, T, S) no longer fits
    believed: A mask is (T, S), and scores are (B, H, T, S). But with padding there is one for each
        text, and it lacks the heads only.
    seen: Right with a causal mask. An error, or five axes, as soon as a batch has padding.
    - # a head axis: without it texts are taken for heads
    - mask = mask.unsqueeze(-3)
    + mask = mask[None, None]

HasNoOutputLayer
    there is no output layer .out
    believed: Merging the heads finishes the work. But without .out no channel of one head ever
        meets another's.
    seen: Unexpected key 'out.weight' when weights are loaded.
    reported: Kyubyong/transformer#17, Kyubyong/transformer#117, jwallbridge/translob#4,
        awf/functional-transformer#8
    - self.out = nn.Linear(d_model, d_model, bias=bias)

    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.dropout(merge_heads(gathered))

NeverUsesTheOutputLayer
    the output layer .out is there and never used
    believed: A layer made in __init__ is used by itself. forward must call it, once the heads are
        joined.
    seen: No error. The gradient of out.weight stays None.
    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.dropout(merge_heads(gathered))

KeepsTheBiasOfOut
    bias=False is obeyed by qkv only: .out still has a bias
    believed: bias is about queries, keys and values. It is about both layers.
    seen: Missing key 'out.bias' when weights without bias are loaded.
    - self.out = nn.Linear(d_model, d_model, bias=bias)
    + self.out = nn.Linear(d_model, d_model)

IgnoresBias
    bias=False is ignored: both layers have a bias
    believed: bias=False works as soon as it is in the signature. A linear layer has a bias unless
        it is told otherwise: tell both.
    seen: Missing keys when weights without bias are loaded.
    - self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
    - self.out = nn.Linear(d_model, d_model, bias=bias)
    + self.qkv = nn.Linear(d_model, 3 * d_model)
    + self.out = nn.Linear(d_model, d_model)

HasThreeLayers
    query, key and value are three layers, not one .qkv
    believed: Three layers compute the same. They do, under other names, and weights are found by
        name.
    seen: Missing and unexpected keys when weights are loaded; otherwise as good.
    - self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
    + self.query = nn.Linear(d_model, d_model, bias=bias)
    + self.key = nn.Linear(d_model, d_model, bias=bias)
    + self.value = nn.Linear(d_model, d_model, bias=bias)

    - split_heads(part, self.n_heads)
    - for part in self.qkv(x).chunk(3, dim=-1)
    + split_heads(f(x), self.n_heads)
    + for f in (self.query, self.key, self.value)

DropsOnlyTheOutput
    dropout on the output only, not on the weights
    believed: One dropout is enough. Here there are two: the other falls on the weights of
        attention.
    seen: Less is dropped than was asked for; no other sign.
    - # dropout comes between the weights and the values
    - gathered = self.dropout(weights) @ v
    + gathered = weights @ v

DropsOnlyTheWeights
    dropout on the weights only, not on the output
    believed: One dropout is enough. Here there are two: the other falls on the output, behind the
        last layer.
    seen: Less is dropped than was asked for; no other sign.
    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.out(merge_heads(gathered))

DropsNothing
    dropout is ignored
    believed: A dropout that was made in __init__ acts by itself. forward must call it, on the
        weights and on the output.
    seen: Training and evaluation agree to the last digit, however large dropout is.
    - # dropout comes between the weights and the values
    - gathered = self.dropout(weights) @ v
    - return self.dropout(self.out(merge_heads(gathered)))
    + gathered = weights @ v
    + return self.out(merge_heads(gathered))

DropsBeforeTheOutputLayer
    the second dropout acts before .out, not after it
    believed: Dropout before the last layer is the same as after it. It is not: here it falls on
        what that layer returns.
    seen: No output is ever exactly 0; the bias of .out is never dropped.
    - return self.dropout(self.out(merge_heads(gathered)))
    + return self.out(self.dropout(merge_heads(gathered)))

DropsInEvaluationToo
    dropout acts in evaluation too
    believed: F.dropout knows the mode. It does not: unless it is told otherwise, it always drops.
    seen: Two calls of model.eval() differ, and the loss in evaluation is worse than it could be.
    reported: karpathy/nanoGPT#240, pytorch/pytorch#124464, huggingface/pytorch-image-models#1978
    - # dropout comes between the weights and the values
    - gathered = self.dropout(weights) @ v
    - return self.dropout(self.out(merge_heads(gathered)))
    + gathered = F.dropout(weights, self.dropout.p) @ v
    + return F.dropout(self.out(merge_heads(gathered)), self.dropout.p)

DropsWeightsInEvaluationToo
    dropout on the weights acts in evaluation too
    believed: The dropout inside attention knows the mode. F.dropout and torch's own attention do
        not: they must be told to drop nothing in evaluation.
    seen: Two calls of model.eval() differ, and the loss in evaluation is worse than it could be.
    reported: karpathy/nanoGPT#240, pytorch/pytorch#124464, huggingface/pytorch-image-models#1978
    - # dropout comes between the weights and the values
    - gathered = self.dropout(weights) @ v
    + gathered = F.dropout(weights, self.dropout.p) @ v

KeepsWhatItShouldDrop
    dropout=p keeps a share p, instead of dropping it
    believed: dropout is the share to keep, as in some old libraries. In torch it is the share to
        drop.
    seen: With dropout=0.1 the training loss hardly falls: nine tenths are gone.
    - self.dropout = nn.Dropout(dropout)
    + self.dropout = nn.Dropout(1 - dropout if dropout else 0.0)

DividesWithoutLooking
    an n_heads that does not divide d_model is accepted
    believed: C // H is the width of a head in any case. With a remainder some channels are left
        over, so such an n_heads must be refused.
    seen: The layer is made; the first call fails somewhere inside, or channels go missing.
    - if d_model % n_heads != 0:
    -     raise ValueError(
    -         "n_heads must divide d_model, "
    -         f"got n_heads={n_heads} and d_model={d_model}."
    -     )

    + shape = (len(x), x.shape[1], self.n_heads, -1)
    = q, k, v = (
    -     split_heads(part, self.n_heads)
    +     part.reshape(shape).transpose(1, 2)

AssertsThatHeadsDivide
    the wrong n_heads is refused by assert: AssertionError, not ValueError
    believed: assert is made for checking arguments. But python -O skips it, and callers wait for
        the ValueError of the docstring.
    seen: Code that expects ValueError does not catch it; with -O nothing is checked.
    - if d_model % n_heads != 0:
    -     raise ValueError(
    -         "n_heads must divide d_model, "
    -         f"got n_heads={n_heads} and d_model={d_model}."
    -     )
    + assert d_model % n_heads == 0, (
    +     f"n_heads={n_heads} does not divide {d_model}"
    + )

MakesTheMaskOnTheCpu
    a mask made inside is always on the CPU
    believed: A new tensor goes where the others are. It goes to the CPU unless told otherwise.
    seen: Right on a laptop; on a GPU 'Expected all tensors to be on the same device'.
    - if mask is not None:
    -     # a head axis: without it texts are taken for heads
    -     mask = mask.unsqueeze(-3)
    + everything = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    + mask = (
    +     everything if mask is None else mask.unsqueeze(-3) & everything
    + )

ChangesTheMask
    the mask itself is changed
    believed: Methods that end in _ are only quicker. They write into the caller's mask, which the
        next layer uses.
    seen: The first layer is right, the second gets an inverted mask.
    - # a head axis: without it texts are taken for heads
    - mask = mask.unsqueeze(-3)
    + mask.logical_not_()
    + mask = ~mask.unsqueeze(-3)

MasksAfterSoftmax
    masked after softmax, without renormalising
    believed: A weight of 0 hides a key at any time. But by then each row was divided by a sum in
        which the hidden scores took part.
    seen: Rows of weights sum to less than 1, and the loss is too good to be true.
    reported: huggingface/pytorch-image-models#2236
    - _, weights = masked_attention(q, k, v, mask)
    + _, weights = masked_attention(q, k, v)
    + weights = weights if mask is None else weights * mask

AnswersEmptyQueriesWithNan
    a query with nothing to attend to gives nan
    believed: Some key is always left. Padding in front, or an empty text, leaves none, and then the
        weights are 0/0.
    seen: nan spreads from one padded text to the loss and every weight.
    reported: pytorch/pytorch#103963
    - _, weights = masked_attention(q, k, v, mask)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = (
    +     scores if mask is None else scores.masked_fill(~mask, -math.inf)
    + )
    + weights = scores.softmax(dim=-1)
""")
