"""What goes wrong with a block: a lost residual, a norm in the wrong place, an option kept back."""

from torch import nn

from course_lib.transformer.mlp import MLP
from course_lib.transformer.multihead import MultiHeadAttention
from course_lib.transformer.norm import LayerNorm

from . import bugs, whole_bug

bugs("""Block:

AddsToTheNormalisedStream
    the normalised x is added to, not x itself
    believed: The norm of x may take the place of x. The stream must go on as it came in; only the
        layers read its norm.
    seen: One block learns. A stack is post-norm by another name: it learns with small steps, and may
        not with bold ones.
    reported: lbcb-sci/RiNALMo#9, pytorch/pytorch#61165
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = self.norm1(x)
    + x = x + self.attention(x, mask)
    + x = self.norm2(x)
    + return x + self.mlp(x)

AddsTheMLPToTheNormalisedStream
    the MLP is added to the normalised x, not to x itself
    believed: What the MLP reads is what it is added to. It reads the norm of x, and is added to x
        itself.
    seen: One block learns; in a stack no path goes through unchanged.
    - return x + self.mlp(self.norm2(x))
    + x = self.norm2(x)
    + return x + self.mlp(x)

DoublesWhatItsPartsReturn
    what attention and MLP return is added to itself, not to x
    believed: x + x is the residual sum. It is not once x has been overwritten: add to the x that
        came in.
    seen: One block learns, like a model without residual connections; several do not.
    reported: kyegomez/BitNet#32, facebookresearch/multimodal#305
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = self.attention(self.norm1(x), mask)
    + x = x + x
    + x = self.mlp(self.norm2(x))
    + return x + x

HasNoResiduals
    x is added nowhere: both residual connections are missing
    believed: The output of one layer is the input of the next. But a layer only says what to add to
        x.
    seen: A shallow model trains; a deep one does not learn.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = self.attention(self.norm1(x), mask)
    + return self.mlp(self.norm2(x))

ReplacesTheStreamByAttention
    x is not added to what attention returns
    believed: Attention has gathered all that matters. It has not: what a position knew by itself is
        lost.
    seen: A position no longer knows which token it holds.
    - x = x + self.attention(self.norm1(x), mask)
    + x = self.attention(self.norm1(x), mask)

ReplacesTheStreamByTheMLP
    x is not added to what the MLP returns
    believed: The MLP has the last word. It only says what to add to x.
    seen: A shallow model trains; a deep one hardly moves.
    - return x + self.mlp(self.norm2(x))
    + return self.mlp(self.norm2(x))

AddsTheMLPToTheOldStream
    the MLP is added to the x that came in: what attention added is lost
    believed: One shortcut around everything is enough. Attention and the MLP have one each: the
        second adds to what the first has left.
    seen: What attention found reaches the next block through the MLP alone.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + h = x + self.attention(self.norm1(x), mask)
    + return x + self.mlp(self.norm2(h))

RunsBothAtOnce
    the MLP reads x as it came in, not what attention has added: they run in parallel
    believed: Attention and MLP do not depend on each other. They do: the MLP thinks about what
        attention has found.
    seen: Trains well, as some models have it; GPT-2's weights give nonsense.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + return (
    +     x
    +     + self.attention(self.norm1(x), mask)
    +     + self.mlp(self.norm2(x))
    + )

RunsBothAtOnceBehindOneNorm
    both run in parallel and read norm1; norm2 is never used
    believed: Attention and MLP stand side by side, as in GPT-J. Here, as in GPT-2, one follows the
        other, each behind a norm of its own.
    seen: norm2 gets no gradient; GPT-2's weights give nonsense.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + normed = self.norm1(x)
    + return x + self.attention(normed, mask) + self.mlp(normed)

StartsWithTheMLP
    the MLP comes first, and attention second
    believed: The order does not matter, as a stack alternates anyway. It does for the first and the
        last block: attention comes first.
    seen: Trains well; GPT-2's weights give nonsense.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.mlp(self.norm2(x))
    + return x + self.attention(self.norm1(x), mask)

IsPostNorm
    this is post-norm: the sums are normalised
    believed: The sums are normalised, as in the figure of 2017. Here, as since GPT-2, a norm stands
        before each layer.
    seen: GPT-2's weights give nonsense; at a bold learning rate a deep model may not learn without
        a warm-up.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = self.norm1(x + self.attention(x, mask))
    + return self.norm2(x + self.mlp(x))

NormalisesWhatIsAdded
    the norms stand behind attention and MLP, not in front of them
    believed: A norm behind the layer leaves the stream alone as well. But the layer then reads the
        stream as it is, however large.
    seen: What the layers read grows with depth; GPT-2's weights give nonsense.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.norm1(self.attention(x, mask))
    + return x + self.norm2(self.mlp(x))

ForgetsTheFirstNorm
    attention reads x as it is: norm1 is never used
    believed: The embeddings are small, so the first norm does nothing. But in the next block the
        stream has grown.
    seen: norm1 gets no gradient; scores grow with the square of the stream.
    - x = x + self.attention(self.norm1(x), mask)
    + x = x + self.attention(x, mask)

ForgetsTheSecondNorm
    the MLP reads x as it is: norm2 is never used
    believed: The stream was normalised a line before. But that was a copy for attention to read.
    seen: norm2 gets no gradient; the stream grows with depth.
    - return x + self.mlp(self.norm2(x))
    + return x + self.mlp(x)

UsesTheFirstNormTwice
    norm1 is used for both: norm2 is never used
    believed: All norms do the same. But their weights are learned, and differ.
    seen: norm2 gets no gradient; loaded weights give slightly other outputs.
    reported: ml-explore/mlx#1636
    - return x + self.mlp(self.norm2(x))
    + return x + self.mlp(self.norm1(x))

ExchangesTheNorms
    the norms are exchanged: norm2 before attention, norm1 before the MLP
    believed: All norms do the same. But their weights are learned, and differ.
    seen: Trains well; loaded weights give slightly other outputs.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.attention(self.norm2(x), mask)
    + return x + self.mlp(self.norm1(x))

SharesOneNorm
    norm1 and norm2 are one and the same layer
    believed: One norm with two names serves both. Each needs weights of its own, which are learned
        and differ.
    seen: A few parameters less; of two saved norms the one loaded last counts for both.
    - self.norm2 = LayerNorm(d_model, bias=bias)
    + self.norm2 = self.norm1

EndsWithANorm
    the block's output is normalised as well
    believed: A block should hand on something of size 1. It hands on the stream as it is; the one
        norm at the end belongs to the model.
    seen: No path goes through the stack unchanged; GPT-2's weights give nonsense.
    - return x + self.mlp(self.norm2(x))
    + x = x + self.mlp(self.norm2(x))
    + return self.norm2(x)

AddsIntoTheCallersStream
    x is changed in place by +=
    believed: x += y is short for x = x + y. But it writes into the tensor that the caller still
        holds, and so does every method that ends in _.
    seen: The caller's x is another one after the call; in training a RuntimeError.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x += self.attention(self.norm1(x), mask)
    + x += self.mlp(self.norm2(x))
    + return x

KeepsTheMaskToItself
    the mask is not passed on to attention
    believed: A mask that forward takes is used by itself. It must be passed on, at each step.
    seen: The loss falls too fast, and the model writes nonsense: it has seen the future.
    - x = x + self.attention(self.norm1(x), mask)
    + x = x + self.attention(self.norm1(x))

IsCausalInAnyCase
    the mask is ignored: it is always causal
    believed: In a GPT every mask is causal. But padded texts need another one, and so does a cache.
    seen: Padding is attended to.
    + n_tokens = x.shape[1]
    + mask = torch.ones(
    +     n_tokens, n_tokens, dtype=torch.bool, device=x.device
    + ).tril()
    = x = x + self.attention(self.norm1(x), mask)

IsCausalWithoutAMask
    without a mask it is causal
    believed: In a GPT every block is causal, so this must be the default. But here None allows
        everything.
    seen: A model that should see all of a text sees half of it.
    + if mask is None:
    +     n_tokens = x.shape[1]
    +     ones = torch.ones(
    +         n_tokens, n_tokens, dtype=torch.bool, device=x.device
    +     )
    +     mask = ones.tril()
    = x = x + self.attention(self.norm1(x), mask)

HidesWhatTheMaskAllows
    the mask was inverted on its way to attention
    believed: True is taken for 'hide this', as in torch.nn.MultiheadAttention. Here True means may
        attend.
    seen: Each position sees the future and not the past.
    - x = x + self.attention(self.norm1(x), mask)
    + x = x + self.attention(
    +     self.norm1(x), None if mask is None else ~mask
    + )

GivesTheMaskAnAxisForTheHeads
    the mask gets an axis for the heads, which attention adds by itself
    believed: The mask must get an axis for the heads first. MultiHeadAttention sees to it by
        itself.
    seen: The output has an axis too many as soon as a text has a mask of its own.
    = ) -> Float[Tensor, "B T C"]:
    +     if mask is not None and mask.dim() == 3:
    +         mask = mask.unsqueeze(1)

HasHeadsOfTheWrongWidth
    n_heads is taken for the width of a head
    believed: MultiHeadAttention wants the width of a head. It wants the number of heads.
    seen: Loaded weights give other outputs, though all shapes fit.
    - d_model, n_heads, bias=bias, dropout=dropout
    + d_model, d_model // n_heads, bias=bias, dropout=dropout

HasAnMLPAsWideAsTheStream
    the MLP is d_model wide inside, not four times d_model
    believed: The MLP must be told that it is d_model wide. Inside it is four times as wide, as it
        is by default.
    seen: Half of the block's parameters are missing; loaded weights do not fit.
    - d_model, bias=bias, dropout=dropout, approximate=approximate
    + d_model,
    + d_model,
    + bias=bias,
    + dropout=dropout,
    + approximate=approximate,

GivesTheHeadsToTheMLP
    n_heads was passed to the MLP, which took it for its width
    believed: Attention and MLP take the same arguments. The second one of the MLP is its own width,
        d_mlp.
    seen: The MLP is a bottleneck; loaded weights do not fit.
    - d_model, bias=bias, dropout=dropout, approximate=approximate
    + d_model,
    + n_heads,
    + bias=bias,
    + dropout=dropout,
    + approximate=approximate,

CallsItsPartsAsGPT2Does
    the parts are called ln_1, attn, ln_2, mlp, as in GPT-2
    believed: The parts are called as in GPT-2's saved weights. Here they have the docstring's
        names; lesson 7 translates.
    seen: load_state_dict says: missing keys, unexpected keys.
    - self.norm1 = LayerNorm(d_model, bias=bias)
    - self.attention = MultiHeadAttention(
    + self.ln_1 = LayerNorm(d_model, bias=bias)
    + self.attn = MultiHeadAttention(

    - self.norm2 = LayerNorm(d_model, bias=bias)
    + self.ln_2 = LayerNorm(d_model, bias=bias)

    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.attn(self.ln_1(x), mask)
    + return x + self.mlp(self.ln_2(x))

KeepsTheBiasOfTheNorms
    bias=False is not passed on to the norms
    believed: Only linear layers have a bias. A norm has one too, and bias=False takes it away.
    seen: Loading weights without bias says: missing keys norm1.bias and norm2.bias.
    - self.norm1 = LayerNorm(d_model, bias=bias)
    + self.norm1 = LayerNorm(d_model)

    - self.norm2 = LayerNorm(d_model, bias=bias)
    + self.norm2 = LayerNorm(d_model)

KeepsTheBiasOfAttention
    bias=False is not passed on to attention
    believed: It is enough to tell the norms and the MLP. Attention has biases of its own, and must
        be told as well.
    seen: Loading weights without bias says: missing keys attention.qkv.bias and attention.out.bias.
    - d_model, n_heads, bias=bias, dropout=dropout
    + d_model, n_heads, dropout=dropout

KeepsTheBiasOfTheMLP
    bias=False is not passed on to the MLP
    believed: It is enough to tell the norms and attention. The MLP has biases of its own, and must
        be told as well.
    seen: Loading weights without bias says: missing keys mlp.up.bias and mlp.down.bias.
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.mlp = MLP(d_model, dropout=dropout, approximate=approximate)

IgnoresBiasEverywhere
    bias=False is passed on to no part
    believed: bias=False works as soon as it is in the signature. It must be passed on to each of
        the four parts.
    seen: Loading weights without bias says: missing keys.
    - self.norm1 = LayerNorm(d_model, bias=bias)
    + self.norm1 = LayerNorm(d_model)
    = self.attention = MultiHeadAttention(
    -     d_model, n_heads, bias=bias, dropout=dropout
    +     d_model, n_heads, dropout=dropout
    = )
    - self.norm2 = LayerNorm(d_model, bias=bias)
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.norm2 = LayerNorm(d_model)
    + self.mlp = MLP(d_model, dropout=dropout, approximate=approximate)

KeepsApproximateFromTheMLP
    approximate is not passed on to the MLP
    believed: The MLP's own default is what everyone has. It is not for whoever says
        approximate="tanh", as GPT-2 needs it: pass it on.
    seen: GPT-2's weights give logits that agree to three digits only.
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.mlp = MLP(d_model, bias=bias, dropout=dropout)

IsTanhByDefault
    the curve of "tanh" is used by default
    believed: GPT-2's curve is the usual one, so it is the default. Here, as in torch, the default
        is the exact one.
    seen: Outputs agree to three digits with those of other implementations.
    - approximate: str = "none",
    + approximate: str = "tanh",

DropsNothingAnywhere
    dropout is passed on to no part
    believed: dropout works as soon as it is in the signature. It must be passed on to attention and
        to the MLP.
    seen: Small data sets are learned by heart sooner.
    - self.attention = MultiHeadAttention(
    -     d_model, n_heads, bias=bias, dropout=dropout
    - )
    + self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
    = self.norm2 = LayerNorm(d_model, bias=bias)
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.mlp = MLP(d_model, bias=bias, approximate=approximate)

DropsFromTheMLPOnly
    dropout is not passed on to attention
    believed: It is enough to tell the MLP of dropout. Attention has its own, and must be told as
        well.
    seen: Small data sets are learned by heart sooner.
    - self.attention = MultiHeadAttention(
    -     d_model, n_heads, bias=bias, dropout=dropout
    - )
    + self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)

DropsFromAttentionOnly
    dropout is not passed on to the MLP
    believed: It is enough to tell attention of dropout. The MLP has its own, and must be told as
        well.
    seen: Small data sets are learned by heart sooner.
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.mlp = MLP(d_model, bias=bias, approximate=approximate)

DropsOutputsByItself
    dropout falls on both outputs, but not on the weights of attention
    believed: One nn.Dropout in the block does it all. It cannot reach the weights inside attention:
        pass dropout on to the parts.
    seen: Training differs from that of other implementations; nothing else shows.
    - self.attention = MultiHeadAttention(
    -     d_model, n_heads, bias=bias, dropout=dropout
    - )
    = self.norm2 = LayerNorm(d_model, bias=bias)
    - self.mlp = MLP(
    -     d_model, bias=bias, dropout=dropout, approximate=approximate
    - )
    + self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
    + self.mlp = MLP(d_model, bias=bias, approximate=approximate)
    + self.dropout = nn.Dropout(dropout)

    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.dropout(self.attention(self.norm1(x), mask))
    + return x + self.dropout(self.mlp(self.norm2(x)))

DropsTwice
    dropout falls twice on each output: in the part and in the block
    believed: The block drops from what its parts return. The parts do so already, as they were
        given dropout.
    seen: Twice as much dropout as was asked for.
    +     self.dropout = nn.Dropout(dropout)
    = def forward(

    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x + self.dropout(self.attention(self.norm1(x), mask))
    + return x + self.dropout(self.mlp(self.norm2(x)))

DropsFromTheStream
    dropout falls on the stream itself
    believed: Dropout comes last, so it comes after the sum. But then whole numbers of the stream
        are lost for good; it falls on what is added.
    seen: The deeper the model, the less of a token arrives.
    +     self.dropout = nn.Dropout(dropout)
    = def forward(

    - return x + self.mlp(self.norm2(x))
    + return self.dropout(x + self.mlp(self.norm2(x)))

DetachesTheStream
    the residual path is detached: no gradient goes straight through
    believed: x is only passed on, so it needs no gradient. But it is the path by which earlier
        blocks learn.
    seen: Earlier blocks learn slowly, as in a stack without residual connections.
    - x = x + self.attention(self.norm1(x), mask)
    - return x + self.mlp(self.norm2(x))
    + x = x.detach() + self.attention(self.norm1(x), mask)
    + return x.detach() + self.mlp(self.norm2(x))
""")
