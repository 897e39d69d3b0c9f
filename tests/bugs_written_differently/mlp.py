"""The bugs of the GELU and the MLP in other words."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.mlp import gelu

from . import same_bug_as

# --- gelu ------------------------------------------------------------------------------------

FORMS = {"none", "tanh"}


def _at_least_float32(x):
    return x if x.dtype == torch.float64 else x.float()


def _known(approximate):
    if approximate not in FORMS:
        raise ValueError(f"approximate={approximate!r} is not known")


def _gpt2_inner(x):
    return 0.7978845608028654 * (x + 0.044715 * x * x * x)


@same_bug_as("always_takes_the_tanh_form")
def new_gelu(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    return (0.5 * wide * (1 + torch.tanh(_gpt2_inner(wide)))).type_as(x)


@same_bug_as("always_takes_the_exact_form")
def erf_alone(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    return (0.5 * wide * torch.erfc(-wide / 2**0.5)).type_as(x)


@same_bug_as("exchanges_the_forms")
def wrong_way_round(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    exact = approximate != "none"
    bend = torch.erf(wide * 0.5**0.5) if exact else torch.tanh(_gpt2_inner(wide))
    return (wide * (0.5 + 0.5 * bend)).type_as(x)


@same_bug_as("takes_approximate_as_a_flag")
def if_approximate(x, approximate="none"):
    wide = _at_least_float32(x)
    if not approximate:
        return (wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))).type_as(x)
    return (wide * torch.sigmoid(2 * _gpt2_inner(wide))).type_as(x)


@same_bug_as("squares_instead_of_cubing")
def to_the_power_of_two(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    if approximate == "none":
        return F.gelu(wide).type_as(x)
    inner = 0.7978845608028654 * torch.add(wide, torch.pow(wide, 2), alpha=0.044715)
    return (0.5 * wide * (1 + inner.tanh())).type_as(x)


@same_bug_as("takes_the_root_of_two_pi")
def two_and_a_half(x, approximate="none"):
    _known(approximate)
    if approximate != "tanh":
        return F.gelu(x)
    wide = _at_least_float32(x)
    inner = 2.5066282746310002 * (wide + 0.044715 * wide.pow(3))
    return (0.5 * wide * (1 + inner.tanh())).type_as(x)


@same_bug_as("forgets_the_inner_brackets")
def without_brackets(x, approximate="none"):
    _known(approximate)
    if approximate != "tanh":
        return F.gelu(x)
    wide = _at_least_float32(x)
    share = 0.5 * (1 + torch.tanh((2 / math.pi) ** 0.5 * wide + wide.pow(3) * 0.044715))
    return (wide * share).type_as(x)


@same_bug_as("takes_the_sigmoid_form")
def quick_gelu(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    return (0.5 * wide * (1 + torch.tanh(0.851 * wide))).type_as(x)


@same_bug_as("takes_silu")
def swish(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    return (wide * wide.sigmoid()).type_as(x)


@same_bug_as("takes_relu")
def at_least_zero(x, approximate="none"):
    _known(approximate)
    return torch.where(x > 0, x, 0.0)


@same_bug_as("forgets_the_root_of_two")
def erf_of_x(x, approximate="none"):
    _known(approximate)
    if approximate == "tanh":
        return F.gelu(x, approximate=approximate)
    wide = _at_least_float32(x)
    return (0.5 * wide * torch.erfc(-wide)).type_as(x)


@same_bug_as("forgets_to_halve")
def x_plus_x_erf(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    bend = torch.erf(wide / 2**0.5) if approximate == "none" else torch.tanh(_gpt2_inner(wide))
    return (wide + wide * bend).type_as(x)


@same_bug_as("forgets_to_multiply_by_x")
def the_gate(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    if approximate == "none":
        return torch.special.ndtr(wide).type_as(x)
    return torch.sigmoid(2 * _gpt2_inner(wide)).type_as(x)


@same_bug_as("takes_the_density")
def bell(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    return (0.3989422804014327 * wide * torch.exp(-0.5 * wide * wide)).type_as(x)


@same_bug_as("takes_anything_else_for_tanh")
def none_or_else(x, approximate="none"):
    wide = _at_least_float32(x)
    if approximate == "none":
        bend = torch.erf(wide / math.sqrt(2))
    else:
        bend = torch.tanh(_gpt2_inner(wide))
    return (wide * (1 + bend) / 2).to(x.dtype)


@same_bug_as("takes_anything_else_for_none")
def tanh_or_else(x, approximate="none"):
    wide = _at_least_float32(x)
    if approximate == "tanh":
        return (wide * (1 + torch.tanh(_gpt2_inner(wide))) / 2).to(x.dtype)
    return (wide * (1 + torch.erf(wide / math.sqrt(2))) / 2).to(x.dtype)


@same_bug_as("computes_in_half_precision")
def straight_from_the_paper(x, approximate="none"):
    _known(approximate)
    bend = torch.erf(x / math.sqrt(2)) if approximate == "none" else torch.tanh(_gpt2_inner(x))
    return 0.5 * x * (1 + bend)


@same_bug_as("returns_float32")
def forgets_the_way_back(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    if approximate == "none":
        return wide * torch.special.ndtr(wide)
    return wide * torch.sigmoid(2 * _gpt2_inner(wide))


@same_bug_as("squeezes_through_float32")
def always_float(x, approximate="none"):
    _known(approximate)
    return nn.GELU(approximate)(x.to(torch.float32)).type_as(x)


@same_bug_as("detaches_the_share")
def a_gate_without_gradient(x, approximate="none"):
    _known(approximate)
    wide = _at_least_float32(x)
    if approximate == "none":
        share = torch.special.ndtr(wide)
    else:
        share = torch.sigmoid(2 * _gpt2_inner(wide))
    return (wide * share.detach()).type_as(x)


@same_bug_as("asserts_that_the_form_is_known")
def raises_assertion_error(x, approximate="none"):
    if approximate not in FORMS:
        raise AssertionError(approximate)
    return F.gelu(x, approximate=approximate)


# --- MLP -------------------------------------------------------------------------------------


class _Mlp(nn.Module):
    """What most of these have in common: the right one."""

    default = "none"

    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate=None):
        super().__init__()
        d_mlp = self.width(d_model, d_mlp)
        self.up = nn.Linear(d_model, d_mlp, bias)
        self.down = nn.Linear(d_mlp, d_model, bias)
        self.p = dropout
        self.approximate = approximate or self.default

    def width(self, d_model, d_mlp):
        return d_mlp or 4 * d_model

    def bend(self, x):
        return F.gelu(x, approximate=self.approximate)

    def drop(self, x):
        return F.dropout(x, self.p, self.training)

    def forward(self, x):
        return self.drop(self.down(self.bend(self.up(x))))


@same_bug_as("HasNoActivation")
class LinearAllThrough(_Mlp):
    def bend(self, x):
        return x


@same_bug_as("BendsAfterTheSecondLayer")
class ActivationLast(_Mlp):
    def forward(self, x):
        for step in (self.up, self.down, self.bend, self.drop):
            x = step(x)
        return x


@same_bug_as("BendsBeforeTheFirstLayer")
class ActivationFirst(_Mlp):
    def forward(self, x):
        x = self.bend(x)
        x = self.up(x)
        return self.drop(self.down(x))


@same_bug_as("BendsAfterBothLayers")
class ActivationTwice(_Mlp):
    def forward(self, x):
        for layer in (self.up, self.down):
            x = self.bend(layer(x))
        return self.drop(x)


@same_bug_as("BendsWithRelu")
class AsIn2017(_Mlp):
    def bend(self, x):
        return x.clamp(min=0)


@same_bug_as("IsNoWiderInside")
class AsWideAsTheStream(_Mlp):
    def width(self, d_model, d_mlp):
        return d_mlp or d_model


@same_bug_as("IgnoresTheGivenWidth")
class FourTimes(_Mlp):
    def width(self, d_model, d_mlp):
        return d_model * 4


@same_bug_as("TakesTheWidthForAFactor")
class Factor(_Mlp):
    def width(self, d_model, d_mlp):
        return (d_mlp or 4) * d_model


@same_bug_as("KeepsTheBiasOfDown")
class OneBiasTooMany(_Mlp):
    def __init__(self, d_model, d_mlp=None, *, bias=True, **options):
        super().__init__(d_model, d_mlp, bias=bias, **options)
        self.down = nn.Linear(self.up.out_features, d_model)


@same_bug_as("IgnoresBiasInTheMLP")
class WithBiases(_Mlp):
    def __init__(self, d_model, d_mlp=None, *, bias=True, **options):
        super().__init__(d_model, d_mlp, **options)


@same_bug_as("KeepsApproximateToItself")
class ErfInAnyCase(_Mlp):
    def bend(self, x):
        return F.gelu(x)


@same_bug_as("TakesTanhByDefault")
class Gpt2ByDefault(_Mlp):
    default = "tanh"


@same_bug_as("DropsNothingFromTheMLP")
class WithoutDropout(_Mlp):
    def drop(self, x):
        return x


@same_bug_as("DropsHiddenNumbers")
class DropoutInTheMiddle(_Mlp):
    def forward(self, x):
        hidden = self.drop(self.bend(self.up(x)))
        return self.down(hidden)


@same_bug_as("DropsHiddenNumbersToo")
class DropoutAfterEach(_Mlp):
    def forward(self, x):
        for step in (self.up, self.bend, self.drop, self.down, self.drop):
            x = step(x)
        return x


@same_bug_as("DropsFromTheMLPInEvaluation")
class DropoutForEver(_Mlp):
    def drop(self, x):
        return F.dropout(x, self.p, training=True)


@same_bug_as("AddsXByItself")
class WithItsOwnResidual(_Mlp):
    def forward(self, x):
        return super().forward(x) + x


@same_bug_as("ComesDownByTheSameMatrix")
class TiedMatrices(_Mlp):
    def forward(self, x):
        result = self.bend(self.up(x)) @ self.up.weight
        return self.drop(result if self.down.bias is None else result + self.down.bias)


@same_bug_as("ExpectsThreeAxes")
class UnpacksThree(_Mlp):
    def forward(self, x):
        _, n_tokens, _ = x.shape
        return torch.stack([super(UnpacksThree, self).forward(x[:, t]) for t in range(n_tokens)], 1)


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("loses_a_zero")
def loses_a_zero(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    bend = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.44715 * wide**3))
    return (wide * (1 + bend) / 2).to(x.dtype)


@same_bug_as("multiplies_in_place")
def multiplies_in_place(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    result = F.gelu(x, approximate=approximate)
    x.copy_(result.detach())
    return result


@same_bug_as("makes_tanh_of_exponentials")
def makes_tanh_of_exponentials(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got approximate={approximate!r}.')
    if approximate == "none":
        return F.gelu(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    power = torch.exp(2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    return (wide * (1 + (power - 1) / (power + 1)) / 2).to(x.dtype)


@same_bug_as("CallsTheLayersByNumbers")
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


@same_bug_as("KeepsOnlyTheShareToDrop")
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
