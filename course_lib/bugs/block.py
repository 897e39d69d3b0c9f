"""What goes wrong with a block: a lost residual, a norm in the wrong place, an option kept back."""

import torch
from torch import nn

from course_lib.transformer.mlp import MLP
from course_lib.transformer.multihead import MultiHeadAttention
from course_lib.transformer.norm import LayerNorm

from . import bug


@bug(
    "Block",
    title="the normalised x is added to, not x itself",
    misconception="x is overwritten by its norm, which is then taken for x. The stream itself "
    "must go on.",
    symptom="Trains, but worse with every block: no path goes through the stack unchanged.",
    threads=("lbcb-sci/RiNALMo#9", "pytorch/pytorch#61165"),
)
class AddsToTheNormalisedStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = self.norm1(x)
        x = x + self.attention(x, mask)
        x = self.norm2(x)
        return x + self.mlp(x)


@bug(
    "Block",
    title="the MLP is added to the normalised x, not to x itself",
    misconception="The first half was written with care, the second in a hurry: x = norm2(x), "
    "and the stream is gone.",
    symptom="Trains, but worse with every block.",
)
class AddsTheMLPToTheNormalisedStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        x = self.norm2(x)
        return x + self.mlp(x)


@bug(
    "Block",
    title="what attention and MLP return is added to itself, not to x",
    misconception="x is overwritten by the layer, and x + x then looks like the residual sum.",
    symptom="Trains like a model without residual connections.",
    threads=("kyegomez/BitNet#32", "facebookresearch/multimodal#305"),
)
class DoublesWhatItsPartsReturn(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = self.attention(self.norm1(x), mask)
        x = x + x
        x = self.mlp(self.norm2(x))
        return x + x


@bug(
    "Block",
    title="x is added nowhere: both residual connections are missing",
    misconception="The output of one layer is the input of the next. A layer only says what to "
    "add.",
    symptom="A shallow model trains; a deep one starts with gradients near 0 and stays there.",
)
class HasNoResiduals(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = self.attention(self.norm1(x), mask)
        return self.mlp(self.norm2(x))


@bug(
    "Block",
    title="x is not added to what attention returns",
    misconception="Attention has gathered all that matters. It has not: what a position knew by "
    "itself is lost.",
    symptom="A position no longer knows which token it holds.",
)
class ReplacesTheStreamByAttention(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="x is not added to what the MLP returns",
    misconception="The MLP has the last word. It only says what to add.",
    symptom="A shallow model trains; a deep one hardly moves.",
)
class ReplacesTheStreamByTheMLP(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the MLP is added to the x that came in: what attention added is lost",
    misconception="One shortcut around everything is enough. Each of the two has its own.",
    symptom="What attention found reaches the next block through the MLP alone.",
)
class AddsTheMLPToTheOldStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        h = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(h))


@bug(
    "Block",
    title="the MLP reads x as it came in, not what attention has added: they run in parallel",
    misconception="The two lines do not depend on each other. The MLP thinks about what "
    "attention has found.",
    symptom="Trains well, as some models have it; GPT-2's weights give nonsense.",
)
class RunsBothAtOnce(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        return x + self.attention(self.norm1(x), mask) + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="both run in parallel and read norm1; norm2 is never used",
    misconception="GPT-J has it so. GPT-2 has one after the other, and a norm for each.",
    symptom="norm2 gets no gradient; GPT-2's weights give nonsense.",
)
class RunsBothAtOnceBehindOneNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        normed = self.norm1(x)
        return x + self.attention(normed, mask) + self.mlp(normed)


@bug(
    "Block",
    title="the MLP comes first, and attention second",
    misconception="The order does not matter, as a stack alternates anyway. The first and the "
    "last block see it.",
    symptom="Trains well; GPT-2's weights give nonsense.",
)
class StartsWithTheMLP(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.mlp(self.norm2(x))
        return x + self.attention(self.norm1(x), mask)


@bug(
    "Block",
    title="this is post-norm: the sums are normalised",
    misconception="The figure of 2017 shows it so. Since GPT-2 the norm stands before the layer.",
    symptom="Does not train without warm-up; GPT-2's weights give nonsense.",
)
class IsPostNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.mlp(x))


@bug(
    "Block",
    title="the norms stand behind attention and MLP, not in front of them",
    misconception="x + norm(layer(x)) leaves the stream alone as well. But the layer reads it as "
    "it is, however large.",
    symptom="What the layers read grows with depth; GPT-2's weights give nonsense.",
)
class NormalisesWhatIsAdded(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.norm1(self.attention(x, mask))
        return x + self.norm2(self.mlp(x))


@bug(
    "Block",
    title="attention reads x as it is: norm1 is never used",
    misconception="The embeddings are small, so the first norm does nothing. In the next block "
    "the stream has grown.",
    symptom="norm1 gets no gradient; scores grow with depth, until attention looks at one place "
    "only.",
)
class ForgetsTheFirstNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(x, mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the MLP reads x as it is: norm2 is never used",
    misconception="The stream was normalised a line before. That was a copy for attention to read.",
    symptom="norm2 gets no gradient; the stream grows with depth.",
)
class ForgetsTheSecondNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(x)


@bug(
    "Block",
    title="norm1 is used for both: norm2 is never used",
    misconception="All norms do the same. Their weights are learned, and differ.",
    symptom="norm2 gets no gradient; loaded weights give slightly other outputs.",
    threads=("ml-explore/mlx#1636",),
)
class UsesTheFirstNormTwice(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm1(x))


@bug(
    "Block",
    title="the norms are exchanged: norm2 before attention, norm1 before the MLP",
    misconception="All norms do the same. Their weights are learned, and differ.",
    symptom="Trains well; loaded weights give slightly other outputs.",
)
class ExchangesTheNorms(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm2(x), mask)
        return x + self.mlp(self.norm1(x))


@bug(
    "Block",
    title="norm1 and norm2 are one and the same layer",
    misconception="One norm was made and given two names. Each needs weights of its own.",
    symptom="A few parameters less; of two saved norms the one loaded last counts for both.",
)
class SharesOneNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = self.norm1
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the block's output is normalised as well",
    misconception="Every layer should hand on something of size 1. The one norm at the end "
    "belongs to the model.",
    symptom="No path goes through the stack unchanged; GPT-2's weights give nonsense.",
)
class EndsWithANorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        x = x + self.mlp(self.norm2(x))
        return self.norm2(x)


@bug(
    "Block",
    title="x is changed in place by +=",
    misconception="x += y is short for x = x + y. It writes into the tensor that the caller "
    "still holds.",
    symptom="The caller's x is another one after the call; in training a RuntimeError.",
)
class AddsIntoTheCallersStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x += self.attention(self.norm1(x), mask)
        x += self.mlp(self.norm2(x))
        return x


@bug(
    "Block",
    title="the mask is not passed on to attention",
    misconception="forward takes a mask, so it is used. It must be handed down, at each step.",
    symptom="The loss falls too fast, and the model writes nonsense: it has seen the future.",
)
class KeepsTheMaskToItself(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the mask is ignored: it is always causal",
    misconception="In a GPT every mask is causal. Padded texts need another one, and so does a "
    "cache.",
    symptom="Padding is attended to.",
)
class IsCausalInAnyCase(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        n_tokens = x.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=x.device).tril()
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="without a mask it is causal",
    misconception="In a GPT every block is causal, so this must be the default. None allows "
    "everything.",
    symptom="A model that should see all of a text sees half of it.",
)
class IsCausalWithoutAMask(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        if mask is None:
            n_tokens = x.shape[1]
            ones = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=x.device)
            mask = ones.tril()
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the mask was inverted on its way to attention",
    misconception="torch.nn.MultiheadAttention has True for what is hidden. Here, True may be "
    "attended to.",
    symptom="Each position sees the future and not the past.",
)
class HidesWhatTheMaskAllows(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), None if mask is None else ~mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the mask gets an axis for the heads, which attention adds by itself",
    misconception="A mask needs an axis for the heads. MultiHeadAttention sees to it.",
    symptom="The output has an axis too many as soon as a text has a mask of its own.",
)
class GivesTheMaskAnAxisForTheHeads(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="n_heads is taken for the width of a head",
    misconception="MultiHeadAttention was given d_model // n_heads. It wants the number of heads.",
    symptom="Loaded weights give other outputs, though all shapes fit.",
)
class HasHeadsOfTheWrongWidth(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, d_model // n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the MLP is d_model wide inside, not four times d_model",
    misconception="The MLP was given d_model twice. Its default is the right width.",
    symptom="Half of the block's parameters are missing; loaded weights do not fit.",
)
class HasAnMLPAsWideAsTheStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="n_heads was passed to the MLP, which took it for its width",
    misconception="Both parts are made alike. The second argument of an MLP is d_mlp.",
    symptom="The MLP is a bottleneck; loaded weights do not fit.",
)
class GivesTheHeadsToTheMLP(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, n_heads, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="the parts are called ln_1, attn, ln_2, mlp, as in GPT-2",
    misconception="The names of the saved weights are the names. Lesson 7 translates them.",
    symptom="load_state_dict says: missing keys, unexpected keys.",
)
class CallsItsPartsAsGPT2Does(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.ln_1 = LayerNorm(d_model, bias=bias)
        self.attn = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.ln_2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))


@bug(
    "Block",
    title="bias=False is not passed on to the norms",
    misconception="A norm has no bias in the sense of a linear layer. It has one, and so does "
    "its saved weight.",
    symptom="Loading weights without bias says: missing keys norm1.bias and norm2.bias.",
)
class KeepsTheBiasOfTheNorms(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="bias=False is not passed on to attention",
    misconception="One of four parts was forgotten.",
    symptom="Loading weights without bias says: missing keys attention.qkv.bias and "
    "attention.out.bias.",
)
class KeepsTheBiasOfAttention(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="bias=False is not passed on to the MLP",
    misconception="One of four parts was forgotten.",
    symptom="Loading weights without bias says: missing keys mlp.up.bias and mlp.down.bias.",
)
class KeepsTheBiasOfTheMLP(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="bias=False is passed on to no part",
    misconception="The option was taken in, and forgotten.",
    symptom="Loading weights without bias says: missing keys.",
)
class IgnoresBiasEverywhere(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.norm2 = LayerNorm(d_model)
        self.mlp = MLP(d_model, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="approximate is not passed on to the MLP",
    misconception="The default is what everyone has. GPT-2 has the other one.",
    symptom="GPT-2's weights give logits that agree to three digits only.",
)
class KeepsApproximateFromTheMLP(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title='the curve of "tanh" is used by default',
    misconception="GPT-2's curve is the usual one. By default it is the exact one.",
    symptom="Outputs agree to three digits with those of other implementations.",
)
class IsTanhByDefault(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="tanh"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="dropout is passed on to no part",
    misconception="The option was taken in, and forgotten.",
    symptom="Small data sets are learned by heart sooner.",
)
class DropsNothingAnywhere(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="dropout is not passed on to attention",
    misconception="One of two parts was forgotten.",
    symptom="Small data sets are learned by heart sooner.",
)
class DropsFromTheMLPOnly(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="dropout is not passed on to the MLP",
    misconception="One of two parts was forgotten.",
    symptom="Small data sets are learned by heart sooner.",
)
class DropsFromAttentionOnly(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, approximate=approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


@bug(
    "Block",
    title="dropout falls on both outputs, but not on the weights of attention",
    misconception="One nn.Dropout in the block is simpler. It cannot reach the weights inside "
    "attention.",
    symptom="Training differs from that of other implementations; nothing else shows.",
)
class DropsOutputsByItself(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, approximate=approximate)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.dropout(self.mlp(self.norm2(x)))


@bug(
    "Block",
    title="dropout falls twice on each output: in the part and in the block",
    misconception="The block drops what comes in. So did the part that made it.",
    symptom="Twice as much dropout as was asked for.",
)
class DropsTwice(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.dropout(self.mlp(self.norm2(x)))


@bug(
    "Block",
    title="dropout falls on the stream itself",
    misconception="Dropout comes last, so it comes after the sum. Then whole channels of the "
    "stream are lost for good.",
    symptom="The deeper the model, the less of a token arrives.",
)
class DropsFromTheStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return self.dropout(x + self.mlp(self.norm2(x)))


@bug(
    "Block",
    title="the residual path is detached: no gradient goes straight through",
    misconception="x is only passed on, so it needs no gradient. It is the path by which earlier "
    "blocks learn.",
    symptom="Earlier blocks learn slowly, as in a stack without residual connections.",
)
class DetachesTheStream(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        x = x.detach() + self.attention(self.norm1(x), mask)
        return x.detach() + self.mlp(self.norm2(x))
