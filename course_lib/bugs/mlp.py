"""What goes wrong in lesson 6: another curve, no curve at all, or one in the wrong place."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.mlp import gelu

from . import bug

# --- gelu ------------------------------------------------------------------------------------


@bug(
    "gelu",
    title='approximate is ignored: it is always the curve of "tanh"',
    misconception="GELU is the tanh formula, as GPT-2 has it. It is an approximation, and not "
    "what torch or BERT compute by default.",
    symptom="Weights trained with the exact curve give outputs that agree to three digits only.",
    threads=("microsoft/onnxruntime#2270",),
)
def always_takes_the_tanh_form(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.gelu(x, approximate="tanh")


@bug(
    "gelu",
    title='approximate is ignored: it is always the curve of "none"',
    misconception="An approximation is close enough to be left out. GPT-2's weights were trained "
    "with it.",
    symptom="GPT-2's weights give logits that agree to three digits only.",
    threads=("karpathy/nanoGPT#274",),
)
def always_takes_the_exact_form(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.gelu(x)


@bug(
    "gelu",
    title='the two forms are exchanged: "none" gives tanh, "tanh" gives erf',
    misconception="The branches of the if stand the wrong way round.",
    symptom="Outputs agree to three digits with either reference, and never to six.",
)
def exchanges_the_forms(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.gelu(x, approximate="none" if approximate == "tanh" else "tanh")


@bug(
    "gelu",
    title='approximate is taken as true or false, and "none" is true',
    misconception="`if approximate:` asks whether there is an approximation. Every string but the "
    "empty one is true.",
    symptom="The tanh form in any case, and no error for a misspelt name.",
)
def takes_approximate_as_a_flag(x, approximate="none"):
    return F.gelu(x, approximate="tanh" if approximate else "none")


@bug(
    "gelu",
    title='in the "tanh" form, x is squared where it should be cubed',
    misconception="0.044715 x² also bends. But it is the same on both sides of 0, and tanh must "
    "turn over there.",
    symptom="Right near 0; from about 1 on off by several percent.",
)
def squares_instead_of_cubing(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**2))
    return (wide * (1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title='in the "tanh" form, the factor is sqrt(2π), not sqrt(2/π)',
    misconception="sqrt(2π) is the number that stands in the normal density. Here the two are "
    "divided.",
    symptom="The curve bends three times too fast: nearly a ReLU.",
)
def takes_the_root_of_two_pi(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    bend = torch.tanh(math.sqrt(2 * math.pi) * (wide + 0.044715 * wide**3))
    return (wide * (1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title='in the "tanh" form, 0.44715 stands for 0.044715',
    misconception="A zero was lost in copying.",
    symptom="Off by a tenth around 1, where most numbers are; training hides it.",
)
def loses_a_zero(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.44715 * wide**3))
    return (wide * (1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title='in the "tanh" form, sqrt(2/π) multiplies x alone, not the cube',
    misconception="The inner brackets do not matter. They hold both terms together.",
    symptom="Agrees with GPT-2's curve to two digits only.",
)
def forgets_the_inner_brackets(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    bend = torch.tanh(math.sqrt(2 / math.pi) * wide + 0.044715 * wide**3)
    return (wide * (1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title="x · sigmoid(1.702 x): a third form, which is neither of the two",
    misconception="All approximations of the GELU are the same. This one is off by up to 0.02.",
    symptom="Outputs agree to one or two digits with any reference.",
)
def takes_the_sigmoid_form(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid(1.702 * wide)).to(x.dtype)


@bug(
    "gelu",
    title="x · sigmoid(x): this is SiLU, also called swish",
    misconception="Smooth curves that look like a ReLU are all GELUs. This one belongs to LLaMA.",
    symptom="Trains well; loaded weights give other outputs.",
)
def takes_silu(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.silu(x)


@bug(
    "gelu",
    title="this is ReLU: what is negative becomes 0",
    misconception="The GELU is a ReLU with round corners, and corners do not matter.",
    symptom="Trains nearly as well; loaded weights give other outputs.",
)
def takes_relu(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.relu(x)


@bug(
    "gelu",
    title='in the "none" form, x is not divided by sqrt(2) inside erf',
    misconception="erf is the normal distribution. It belongs to a normal distribution with "
    "variance 1/2, not 1.",
    symptom="The curve bends too fast; off by up to 0.1.",
)
def forgets_the_root_of_two(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "tanh":
        return F.gelu(x, approximate="tanh")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (1 + torch.erf(wide)) / 2).to(x.dtype)


@bug(
    "gelu",
    title="it is not divided by 2: every value is twice as large",
    misconception="1 + erf runs from 0 to 1. It runs from 0 to 2.",
    symptom="Large positive numbers come out doubled.",
)
def forgets_to_halve(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (2 * F.gelu(wide, approximate=approximate)).to(x.dtype)


@bug(
    "gelu",
    title="only the share Φ(x) is returned, not x · Φ(x)",
    misconception="The share is the answer. It says how much of x passes.",
    symptom="All values lie between 0 and 1; the MLP can say little with them.",
)
def forgets_to_multiply_by_x(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if approximate == "none":
        bend = torch.erf(wide / math.sqrt(2))
    else:
        bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    return ((1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title="x times the density at x, not times the share below x",
    misconception="Φ and φ are two ways to write the same thing. The large one is the area under "
    "the small one.",
    symptom="Large numbers vanish instead of passing through.",
)
def takes_the_density(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    density = torch.exp(-wide.square() / 2) / math.sqrt(2 * math.pi)
    return (wide * density).to(x.dtype)


@bug(
    "gelu",
    title='any approximate that is not "none" is taken for "tanh"',
    misconception="There are two forms, so an else will do. It also takes what was misspelt.",
    symptom='gelu(x, "sigmoid") gives the tanh form without a word.',
)
def takes_anything_else_for_tanh(x, approximate="none"):
    return F.gelu(x, approximate="none" if approximate == "none" else "tanh")


@bug(
    "gelu",
    title='any approximate that is not "tanh" is taken for "none"',
    misconception="There are two forms, so an else will do. It also takes what was misspelt.",
    symptom='gelu(x, "sigmoid") gives the exact form without a word.',
)
def takes_anything_else_for_none(x, approximate="none"):
    return F.gelu(x, approximate="tanh" if approximate == "tanh" else "none")


@bug(
    "gelu",
    title="a wrong approximate is refused by assert: AssertionError, not ValueError",
    misconception="assert is short for raising an error. python -O leaves it out.",
    symptom="except ValueError does not catch it.",
)
def asserts_that_the_form_is_known(x, approximate="none"):
    assert approximate in ("none", "tanh"), f"got approximate={approximate!r}"
    return F.gelu(x, approximate=approximate)


@bug(
    "gelu",
    title="half precision is computed step by step in half precision",
    misconception="The dtype of x is good enough for what is in between. For negative x, 1 + erf "
    "is the small difference of two numbers near 1, and rounding eats it.",
    symptom="In bfloat16 the left branch becomes a staircase.",
)
def computes_in_half_precision(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        bend = torch.erf(x / math.sqrt(2))
    else:
        bend = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return x * (1 + bend) / 2


@bug(
    "gelu",
    title="half precision in, float32 out",
    misconception="Computing in float32 is enough. The next layer has weights in half precision.",
    symptom="RuntimeError in the next linear layer: the dtypes differ.",
)
def returns_float32(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.gelu(wide, approximate=approximate)


@bug(
    "gelu",
    title="float64 is computed in float32",
    misconception="x.float() makes everything wide. For float64 it makes it narrow.",
    symptom="In float64 only seven digits are right, and tests at 1e-9 fail.",
)
def squeezes_through_float32(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    return F.gelu(x.float(), approximate=approximate).to(x.dtype)


@bug(
    "gelu",
    title="x is overwritten with the result",
    misconception="x *= … saves memory. It writes into the tensor that the caller still holds.",
    symptom="The caller's x is another one after the call; in training a RuntimeError.",
)
def multiplies_in_place(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    result = F.gelu(x, approximate=approximate)
    x.copy_(result.detach())
    return result


@bug(
    "gelu",
    title="the share is detached: its own slope is lost",
    misconception="The share is a switch, and switches have no gradient. This one is smooth.",
    symptom="The loss falls, more slowly; gradients differ from finite differences.",
)
def detaches_the_share(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    with torch.no_grad():
        if approximate == "none":
            bend = torch.erf(wide / math.sqrt(2))
        else:
            bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    return (wide * (1 + bend) / 2).to(x.dtype)


@bug(
    "gelu",
    title="tanh is made of exponentials, which overflow far from 0",
    misconception="(e²ᵘ - 1)/(e²ᵘ + 1) is tanh u. On paper; in a computer it is inf/inf.",
    symptom="nan as soon as one activation is large.",
)
def makes_tanh_of_exponentials(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    power = torch.exp(2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    return (wide * (1 + (power - 1) / (power + 1)) / 2).to(x.dtype)


# --- MLP -------------------------------------------------------------------------------------


@bug(
    "MLP",
    title="there is no gelu between the two layers",
    misconception="Two layers are more than one. Without a bend between them they are one.",
    symptom="Trains, and learns no more than a single linear layer.",
)
class HasNoActivation(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.down(self.up(x)))


@bug(
    "MLP",
    title="gelu comes after down, not between the two layers",
    misconception="An activation ends a layer, so it ends the MLP. The two linear layers before "
    "it are then one.",
    symptom="The MLP can hardly take anything away from the stream: nothing below -0.17 comes out.",
)
class BendsAfterTheSecondLayer(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(gelu(self.down(self.up(x)), self.approximate))


@bug(
    "MLP",
    title="gelu comes before up, not between the two layers",
    misconception="One bend somewhere is enough. In front there are only d_model numbers to bend, "
    "and nothing has been mixed yet.",
    symptom="Trains worse than it should: the wide layer is of no use.",
)
class BendsBeforeTheFirstLayer(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(self.up(gelu(x, self.approximate))))


@bug(
    "MLP",
    title="gelu after both layers, not only between them",
    misconception="Every linear layer is followed by an activation. The last one writes to the "
    "stream and must be free to subtract.",
    symptom="The stream drifts upwards, as nothing below -0.17 comes out.",
)
class BendsAfterBothLayers(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        hidden = gelu(self.up(x), self.approximate)
        return self.dropout(gelu(self.down(hidden), self.approximate))


@bug(
    "MLP",
    title="a ReLU stands between the layers, not gelu",
    misconception="The transformer of 2017 has a ReLU. GPT-2 has a GELU.",
    symptom="Trains nearly as well; loaded weights give other outputs.",
)
class BendsWithRelu(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.down(torch.relu(self.up(x))))


@bug(
    "MLP",
    title="without a d_mlp it is as wide as d_model, not four times as wide",
    misconception="What is not given stays as it is. The default is the width that nearly all "
    "models have.",
    symptom="A quarter of the parameters; loaded weights do not fit.",
)
class IsNoWiderInside(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="d_mlp is ignored: it is always four times as wide as d_model",
    misconception="Four times is what all models have. Not those with a d_mlp of their own.",
    symptom="Loaded weights of another width do not fit.",
)
class IgnoresTheGivenWidth(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.up = nn.Linear(d_model, 4 * d_model, bias=bias)
        self.down = nn.Linear(4 * d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="d_mlp is taken for a factor: it is multiplied by d_model",
    misconception="d_mlp says how many times wider. It says how wide.",
    symptom="The memory is full: a d_mlp of 3072 makes a layer of two million.",
)
class TakesTheWidthForAFactor(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = d_model * (4 if d_mlp is None else d_mlp)
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="bias=False is obeyed by up only: down still has a bias",
    misconception="One layer was given bias=bias, and the other forgotten.",
    symptom="Loading weights without bias says: missing key down.bias.",
)
class KeepsTheBiasOfDown(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="bias=False is ignored: both layers have a bias",
    misconception="nn.Linear has a bias by itself, so there is nothing to do about it.",
    symptom="Loading weights without bias says: missing keys.",
)
class IgnoresBiasInTheMLP(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp)
        self.down = nn.Linear(d_mlp, d_model)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="the layers are not called up and down",
    misconception="Names are a matter of taste. Saved weights are found by them.",
    symptom="load_state_dict says: missing keys, unexpected keys.",
)
class CallsTheLayersByNumbers(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.fc1 = nn.Linear(d_model, d_mlp, bias=bias)
        self.fc2 = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.fc2(gelu(self.fc1(x), self.approximate)))


@bug(
    "MLP",
    title="approximate is not passed on to gelu",
    misconception="The default is what everyone has. GPT-2 has the other one.",
    symptom="GPT-2's weights give logits that agree to three digits only.",
    threads=("karpathy/nanoGPT#274",),
)
class KeepsApproximateToItself(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x))))


@bug(
    "MLP",
    title='the curve of "tanh" is used by default',
    misconception="GPT-2's curve is the usual one. By default it is the exact one.",
    symptom="Outputs agree to three digits with those of other implementations.",
)
class TakesTanhByDefault(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="tanh"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="dropout is ignored",
    misconception="Dropout belongs to the block, which will do it. The block leaves it to its "
    "parts.",
    symptom="Small data sets are learned by heart sooner.",
)
class DropsNothingFromTheMLP(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.approximate = approximate

    def forward(self, x):
        return self.down(gelu(self.up(x), self.approximate))


@bug(
    "MLP",
    title="dropout falls on the hidden numbers, not on the output",
    misconception="The transformer of 2017 has its dropout there, in most copies. GPT-2 has it "
    "on the output.",
    symptom="Training differs from that of other implementations; nothing else shows.",
)
class DropsHiddenNumbers(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return self.down(self.dropout(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="dropout falls on the hidden numbers as well as on the output",
    misconception="More dropout is better. It is one more than the caller asked for.",
    symptom="The training loss stays higher than with the same dropout elsewhere.",
)
class DropsHiddenNumbersToo(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        hidden = self.dropout(gelu(self.up(x), self.approximate))
        return self.dropout(self.down(hidden))


@bug(
    "MLP",
    title="dropout acts in evaluation too",
    misconception="F.dropout knows the mode. It is a function and knows nothing: its own default "
    "is training=True.",
    symptom="Two calls with the same text give two results.",
)
class DropsFromTheMLPInEvaluation(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = dropout
        self.approximate = approximate

    def forward(self, x):
        return F.dropout(self.down(gelu(self.up(x), self.approximate)), self.dropout)


@bug(
    "MLP",
    title="dropout=p keeps a share p, instead of dropping it",
    misconception="In the first papers and in old libraries p was the share that is kept.",
    symptom="dropout=0.1 drops nine of ten numbers, and training hardly moves.",
)
class KeepsOnlyTheShareToDrop(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(1 - dropout if dropout else 0.0)
        self.approximate = approximate

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="x is added to the result: the block does that",
    misconception="The residual connection belongs to the MLP. The block would then add x twice.",
    symptom="The stream doubles in every block.",
)
class AddsXByItself(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        return x + self.dropout(self.down(gelu(self.up(x), self.approximate)))


@bug(
    "MLP",
    title="down is the transposed up, and its own weight is never used",
    misconception="What goes up by a matrix comes down by its transpose. The two layers learn "
    "different things: when to speak, and what to say.",
    symptom="down.weight gets no gradient.",
)
class ComesDownByTheSameMatrix(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        hidden = gelu(self.up(x), self.approximate)
        return self.dropout(F.linear(hidden, self.up.weight.T, self.down.bias))


@bug(
    "MLP",
    title="exactly (B, T, C) is expected",
    misconception="x always has three axes. A single text, or a single vector, goes through as "
    "well.",
    symptom="ValueError for a tensor with another number of axes: not enough values to unpack.",
)
class ExpectsThreeAxes(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        n_texts, n_tokens, d_model = x.shape
        hidden = gelu(self.up(x.reshape(n_texts * n_tokens, d_model)), self.approximate)
        return self.dropout(self.down(hidden)).reshape(n_texts, n_tokens, d_model)
