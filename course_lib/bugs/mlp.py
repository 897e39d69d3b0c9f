"""What goes wrong in lesson 6: another curve, no curve at all, or one in the wrong place."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.mlp import gelu

from . import bugs, whole_bug

bugs("""gelu:

always_takes_the_tanh_form
    approximate is ignored: it is always the curve of "tanh"
    believed: GELU is the tanh formula, as in GPT-2. That is the second of two curves, for "tanh"
        only; the default is the exact one.
    seen: Weights trained with the exact curve give outputs that agree to three digits only.
    reported: microsoft/onnxruntime#2270
    - if approximate == "none":
    -     bend = torch.erf(wide / math.sqrt(2))
    - else:
    -     bend = torch.tanh(
    -         math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    -     )
    + bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))

always_takes_the_exact_form
    approximate is ignored: it is always the curve of "none"
    believed: The two curves are so close that one will do. They differ in the fourth decimal, and
        GPT-2's weights were trained with "tanh".
    seen: GPT-2's weights give logits that agree to three digits only.
    reported: karpathy/nanoGPT#274
    - if approximate == "none":
    -     bend = torch.erf(wide / math.sqrt(2))
    - else:
    -     bend = torch.tanh(
    -         math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    -     )
    + bend = torch.erf(wide / math.sqrt(2))

exchanges_the_forms
    the two forms are exchanged: "none" gives tanh, "tanh" gives erf
    believed: "none" asks for the curve without erf. It asks for no approximation, which is the one
        with erf; "tanh" asks for the other.
    seen: Outputs agree to three digits with either reference, and never to six.
    - if approximate == "none":
    + if approximate == "tanh":

takes_approximate_as_a_flag
    approximate is taken as true or false, and "none" is true
    believed: `if approximate:` asks whether there is an approximation. But every string except the
        empty one is true, "none" as well.
    seen: The tanh form in any case, and no error for a misspelt name.
    - if approximate not in ("none", "tanh"):
    -     raise ValueError(
    -         'approximate must be "none" or "tanh", '
    -         f"got approximate={approximate!r}."
    -     )
    = wide = x.to(torch.promote_types(x.dtype, torch.float32))
    - if approximate == "none":
    + if not approximate:

squares_instead_of_cubing
    in the "tanh" form, x is squared where it should be cubed
    believed: 0.044715 x² bends the curve as well. But it is the same on both sides of 0, and tanh
        must turn over there: x is cubed.
    seen: Right near 0; from about 1 on off by several percent.
    - math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    + math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**2)

takes_the_root_of_two_pi
    in the "tanh" form, the factor is sqrt(2π), not sqrt(2/π)
    believed: sqrt(2π) is the factor, as in the normal density. Here it is the root of 2 divided by
        π.
    seen: The curve bends three times too fast: nearly a ReLU.
    - math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    + math.sqrt(2 * math.pi) * (wide + 0.044715 * wide**3)

loses_a_zero
    in the "tanh" form, 0.44715 stands for 0.044715
    believed: The factor is 0.44715. It is a tenth of that: a zero was lost in copying.
    seen: Off by a tenth around 1, where most numbers are; training hides it.
    - math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    + math.sqrt(2 / math.pi) * (wide + 0.44715 * wide**3)

forgets_the_inner_brackets
    in the "tanh" form, sqrt(2/π) multiplies x alone, not the cube
    believed: The inner brackets do not matter. They do: the factor in front multiplies both terms.
    seen: Agrees with GPT-2's curve to two digits only.
    - math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    + math.sqrt(2 / math.pi) * wide + 0.044715 * wide**3

takes_the_sigmoid_form
    x · sigmoid(1.702 x): a third form, which is neither of the two
    believed: All approximations of the GELU are alike. This one is off by up to 0.02, and neither
        "none" nor "tanh" asks for it.
    seen: Outputs agree to one or two digits with any reference.
    - if approximate == "none":
    -     bend = torch.erf(wide / math.sqrt(2))
    - else:
    -     bend = torch.tanh(
    -         math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    -     )
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return (wide * torch.sigmoid(1.702 * wide)).to(x.dtype)

takes_silu
    x · sigmoid(x): this is SiLU, also called swish
    believed: Smooth curves that look like a ReLU are all GELUs. This one is another, which LLaMA
        uses.
    seen: Trains well; loaded weights give other outputs.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return F.silu(x)

takes_relu
    this is ReLU: what is negative becomes 0
    believed: The GELU is a ReLU with round corners, and corners do not matter. They do for weights
        that were trained with them.
    seen: Trains nearly as well; loaded weights give other outputs.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return F.relu(x)

forgets_the_root_of_two
    in the "none" form, x is not divided by sqrt(2) inside erf
    believed: erf belongs to the normal distribution with variance 1. It belongs to the one with
        variance 1/2, so x must be scaled first.
    seen: The curve bends too fast; off by up to 0.1.
    - bend = torch.erf(wide / math.sqrt(2))
    + bend = torch.erf(wide)

forgets_to_halve
    it is not divided by 2: every value is twice as large
    believed: 1 + erf runs from 0 to 1. It runs from 0 to 2.
    seen: Large positive numbers come out doubled.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return (wide * (1 + bend)).to(x.dtype)

forgets_to_multiply_by_x
    only the share Φ(x) is returned, not x · Φ(x)
    believed: The share Φ(x) is the answer. It only says how much of x passes.
    seen: All values lie between 0 and 1; the MLP can say little with them.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return ((1 + bend) / 2).to(x.dtype)

takes_the_density
    x times the density at x, not times the share below x
    believed: Φ and φ are two ways to write the same thing. The large one is the area under the
        small one.
    seen: Large numbers vanish instead of passing through.
    - if approximate == "none":
    -     bend = torch.erf(wide / math.sqrt(2))
    - else:
    -     bend = torch.tanh(
    -         math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    -     )
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + density = torch.exp(-wide.square() / 2) / math.sqrt(2 * math.pi)
    + return (wide * density).to(x.dtype)

takes_anything_else_for_tanh
    any approximate that is not "none" is taken for "tanh"
    believed: There are two forms, so an else will do. But it also takes a misspelt name, which
        should be refused.
    seen: gelu(x, "sigmoid") gives the tanh form without a word.
    - if approximate not in ("none", "tanh"):
    -     raise ValueError(
    -         'approximate must be "none" or "tanh", '
    -         f"got approximate={approximate!r}."
    -     )

takes_anything_else_for_none
    any approximate that is not "tanh" is taken for "none"
    believed: There are two forms, so an else will do. But it also takes a misspelt name, which
        should be refused.
    seen: gelu(x, "sigmoid") gives the exact form without a word.
    - if approximate not in ("none", "tanh"):
    -     raise ValueError(
    -         'approximate must be "none" or "tanh", '
    -         f"got approximate={approximate!r}."
    -     )
    = wide = x.to(torch.promote_types(x.dtype, torch.float32))
    - if approximate == "none":
    + if approximate != "tanh":

asserts_that_the_form_is_known
    a wrong approximate is refused by assert: AssertionError, not ValueError
    believed: assert is made for checking arguments. But python -O skips it, and callers wait for
        the ValueError of the docstring.
    seen: except ValueError does not catch it.
    - if approximate not in ("none", "tanh"):
    -     raise ValueError(
    -         'approximate must be "none" or "tanh", '
    -         f"got approximate={approximate!r}."
    -     )
    + assert approximate in ("none", "tanh"), (
    +     f"got approximate={approximate!r}"
    + )

computes_in_half_precision
    half precision is computed step by step in half precision
    believed: The dtype of x is good enough for all that is in between. But for negative x, 1 + erf
        is the small difference of numbers near 1, and rounding eats it.
    seen: In bfloat16 the left branch becomes a staircase.
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + wide = x

returns_float32
    half precision in, float32 out
    believed: Computing in float32 is all there is to it. The result goes back to the dtype of x,
        which the next layer expects.
    seen: RuntimeError in the next linear layer: the dtypes differ.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return wide * (1 + bend) / 2

squeezes_through_float32
    float64 is computed in float32
    believed: float32 is always the wider dtype. float64 is wider still, and loses half of its
        digits.
    seen: In float64 only seven digits are right, and tests at 1e-9 fail.
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + wide = x.float()

multiplies_in_place
    x is overwritten with the result
    believed: x *= … only saves memory. It writes into the tensor that the caller still holds.
    seen: The caller's x is another one after the call; with "tanh", training ends in a
        RuntimeError.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + x *= (1 + bend) / 2
    + return x

detaches_the_share
    the share is detached: its own slope is lost
    believed: The share is a switch, and a switch has no gradient. This one is smooth, and its slope
        is part of the gradient.
    seen: The loss falls, more slowly; gradients differ from finite differences.
    - return (wide * (1 + bend) / 2).to(x.dtype)
    + return (wide * (1 + bend.detach()) / 2).to(x.dtype)

makes_tanh_of_exponentials
    tanh is made of exponentials, which overflow far from 0
    believed: (e²ᵘ - 1)/(e²ᵘ + 1) is tanh u. On paper it is; in a computer it becomes inf/inf.
    seen: nan as soon as one activation is large.
    - bend = torch.tanh(
    -     math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    + power = torch.exp(
    +     2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    = )
    + bend = (power - 1) / (power + 1)
""")


bugs("""MLP:

HasNoActivation
    there is no gelu between the two layers
    believed: Two layers can do more than one. Without a bend between them they are one.
    seen: Trains, and learns no more than a single linear layer.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(self.down(self.up(x)))

BendsAfterTheSecondLayer
    gelu comes after down, not between the two layers
    believed: An activation ends a layer, so it ends the MLP. But the two linear layers before it
        are then one.
    seen: The MLP can hardly take anything away from the stream: nothing below -0.17 comes out.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(gelu(self.down(self.up(x)), self.approximate))

BendsBeforeTheFirstLayer
    gelu comes before up, not between the two layers
    believed: One bend somewhere is enough. In front of up it bends only the d_model numbers that
        came in; it belongs where there are d_mlp.
    seen: Trains worse than it should: the wide layer is of no use.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(self.down(self.up(gelu(x, self.approximate))))

BendsAfterBothLayers
    gelu after both layers, not only between them
    believed: Every linear layer is followed by an activation. But the last one writes to the stream
        and must be free to subtract.
    seen: The stream drifts upwards, as nothing below -0.17 comes out.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + hidden = gelu(self.up(x), self.approximate)
    + return self.dropout(gelu(self.down(hidden), self.approximate))

BendsWithRelu
    a ReLU stands between the layers, not gelu
    believed: The bend is a ReLU, as in the transformer of 2017. Here, as in GPT-2, it is a GELU.
    seen: Trains nearly as well; loaded weights give other outputs.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(self.down(torch.relu(self.up(x))))

IsNoWiderInside
    without a d_mlp it is as wide as d_model, not four times as wide
    believed: Without a d_mlp the width stays as it is. The default is four times d_model, as in
        nearly all models.
    seen: A quarter of the parameters; loaded weights do not fit.
    - d_mlp = 4 * d_model
    + d_mlp = d_model

IgnoresTheGivenWidth
    d_mlp is ignored: it is always four times as wide as d_model
    believed: All models are four times as wide inside. Four times is only the default: a d_mlp that
        is given counts.
    seen: Loaded weights of another width do not fit.
    - if d_mlp is None:
    -     d_mlp = 4 * d_model
    + d_mlp = 4 * d_model

TakesTheWidthForAFactor
    d_mlp is taken for a factor: it is multiplied by d_model
    believed: d_mlp says how many times wider it is inside. It says how wide.
    seen: The memory is full: a d_mlp of 3072 makes a layer of two million.
    - if d_mlp is None:
    -     d_mlp = 4 * d_model
    + d_mlp = d_model * (4 if d_mlp is None else d_mlp)

KeepsTheBiasOfDown
    bias=False is obeyed by up only: down still has a bias
    believed: bias=False is about the first layer. It is about both: down has a bias too unless told
        otherwise.
    seen: Loading weights without bias says: missing key down.bias.
    - self.down = nn.Linear(d_mlp, d_model, bias=bias)
    + self.down = nn.Linear(d_mlp, d_model)

IgnoresBiasInTheMLP
    bias=False is ignored: both layers have a bias
    believed: A linear layer sees to its bias by itself. It has one unless told otherwise: bias must
        be passed on to both.
    seen: Loading weights without bias says: missing keys.
    - self.up = nn.Linear(d_model, d_mlp, bias=bias)
    - self.down = nn.Linear(d_mlp, d_model, bias=bias)
    + self.up = nn.Linear(d_model, d_mlp)
    + self.down = nn.Linear(d_mlp, d_model)

CallsTheLayersByNumbers
    the layers are not called up and down
    believed: Names are a matter of taste. Saved weights are found by them: here they are up and
        down.
    seen: load_state_dict says: missing keys, unexpected keys.
    - self.up = nn.Linear(d_model, d_mlp, bias=bias)
    - self.down = nn.Linear(d_mlp, d_model, bias=bias)
    + self.fc1 = nn.Linear(d_model, d_mlp, bias=bias)
    + self.fc2 = nn.Linear(d_mlp, d_model, bias=bias)

    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(self.fc2(gelu(self.fc1(x), self.approximate)))

KeepsApproximateToItself
    approximate is not passed on to gelu
    believed: gelu's own default is what everyone has. It is not for whoever says
        approximate="tanh", as GPT-2 needs it: pass it on.
    seen: GPT-2's weights give logits that agree to three digits only.
    reported: karpathy/nanoGPT#274
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(self.down(gelu(self.up(x))))

TakesTanhByDefault
    the curve of "tanh" is used by default
    believed: GPT-2's curve is the usual one, so it is the default. Here, as in torch, the default
        is the exact one.
    seen: Outputs agree to three digits with those of other implementations.
    - approximate: str = "none",
    + approximate: str = "tanh",

DropsNothingFromTheMLP
    dropout is ignored
    believed: Dropout belongs to the block, which will see to it. The block leaves it to its parts.
    seen: Small data sets are learned by heart sooner.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.down(gelu(self.up(x), self.approximate))

DropsHiddenNumbers
    dropout falls on the hidden numbers, not on the output
    believed: Dropout belongs behind the activation, as in many copies of the transformer of 2017.
        Here it falls on the output.
    seen: Training differs from that of other implementations; nothing else shows.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.down(self.dropout(gelu(self.up(x), self.approximate)))

DropsHiddenNumbersToo
    dropout falls on the hidden numbers as well as on the output
    believed: More dropout is better. It is one more than the caller asked for: here it falls on the
        output only.
    seen: The training loss stays higher than with the same dropout elsewhere.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return self.dropout(
    +     self.down(self.dropout(gelu(self.up(x), self.approximate)))
    + )

DropsFromTheMLPInEvaluation
    dropout acts in evaluation too
    believed: F.dropout knows the mode. It does not: unless it is told otherwise, it always drops.
    seen: Two calls with the same text give two results.
    - self.dropout = nn.Dropout(dropout)
    + self.dropout = dropout

    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return F.dropout(
    +     self.down(gelu(self.up(x), self.approximate)), self.dropout
    + )

KeepsOnlyTheShareToDrop
    dropout=p keeps a share p, instead of dropping it
    believed: dropout is the share to keep, as in some old libraries. In torch it is the share to
        drop.
    seen: dropout=0.1 drops nine of ten numbers, and training hardly moves.
    - self.dropout = nn.Dropout(dropout)
    + self.dropout = nn.Dropout(1 - dropout if dropout else 0.0)

AddsXByItself
    x is added to the result: the block does that
    believed: The residual connection belongs to the MLP. It belongs to the block, and x would then
        be added twice.
    seen: The stream doubles in every block.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + return x + self.dropout(
    +     self.down(gelu(self.up(x), self.approximate))
    + )

ComesDownByTheSameMatrix
    down is the transposed up, and its own weight is never used
    believed: What goes up by a matrix comes down by its transpose. The two layers learn different
        things, so down has a weight of its own.
    seen: down.weight gets no gradient.
    - return self.dropout(self.down(gelu(self.up(x), self.approximate)))
    + hidden = gelu(self.up(x), self.approximate)
    + return self.dropout(
    +     F.linear(hidden, self.up.weight.T, self.down.bias)
    + )

ExpectsThreeAxes
    exactly (B, T, C) is expected
    believed: x always has three axes. A single text, or a single vector, must go through as well.
    seen: ValueError for a tensor with another number of axes: not enough values to unpack.
    + n_texts, n_tokens, d_model = x.shape
    = return self.dropout(self.down(gelu(self.up(x), self.approximate)))
""")
