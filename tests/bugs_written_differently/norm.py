"""The bugs of lesson 5 in other words."""

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.norm import layer_norm

from . import same_bug_as

# --- layer_norm ------------------------------------------------------------------------------


def _at_least_float32(x):
    return x if x.dtype == torch.float64 else x.float()


@same_bug_as("adds_eps_to_the_deviation")
def std_plus_eps(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    std, mean = torch.std_mean(wide, dim=-1, correction=0, keepdim=True)
    out = weight * (wide - mean) / (std + eps)
    if bias is not None:
        out = out + bias
    return out.type_as(x)


@same_bug_as("divides_by_one_less")
def var_as_torch_has_it(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    out = (wide - wide.mean(-1, True)) * torch.rsqrt(wide.var(-1, keepdim=True) + eps)
    out = out * weight
    if bias is not None:
        out = out + bias
    return out.type_as(x)


@same_bug_as("leaves_eps_out")
def z_scores(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    std, mean = torch.std_mean(wide, dim=-1, unbiased=False, keepdim=True)
    out = (wide - mean) / std * weight
    if bias is not None:
        out += bias
    return out.type_as(x)


@same_bug_as("ignores_the_given_eps")
def eps_of_torch(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], weight, bias)


@same_bug_as("has_a_smaller_default_eps")
def a_millionth(x, weight, bias, eps=0.000001):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


@same_bug_as("divides_by_the_variance")
def no_root(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    var, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
    out = weight * (wide - mean) / (var + eps)
    return (out if bias is None else out + bias).type_as(x)


@same_bug_as("normalises_by_the_root_mean_square")
def rms(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    out = weight * wide * (wide.pow(2).mean(-1, keepdim=True) + eps).rsqrt()
    return (out if bias is None else out + bias).type_as(x)


@same_bug_as("forgets_to_centre")
def x_by_its_spread(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    var = ((wide - wide.mean(-1, True)) ** 2).mean(-1, True)
    out = weight * (wide / (var + eps) ** 0.5)
    return (out if bias is None else out + bias).type_as(x)


@same_bug_as("normalises_over_the_positions")
def columns(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x).transpose(-2, -1)
    out = F.layer_norm(wide, wide.shape[-1:], eps=eps).transpose(-2, -1) * weight.to(wide.dtype)
    return (out if bias is None else out + bias).to(x.dtype)


@same_bug_as("normalises_each_text_as_a_whole")
def text_by_text(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    out = F.layer_norm(wide, wide.shape[-2:], eps=eps) * weight
    return (out if bias is None else out + bias).to(x.dtype)


@same_bug_as("normalises_all_axes_but_the_first")
def example_by_example(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    out = F.layer_norm(wide, wide.shape[1:] or wide.shape, eps=eps) * weight
    return (out if bias is None else out + bias).to(x.dtype)


@same_bug_as("copies_the_annotated_formula")
def std_as_it_comes(x, weight, bias, eps=1e-5):
    std, mean = torch.std_mean(x, dim=-1, keepdim=True)
    out = (x - mean).div(std + eps).mul(weight)
    return out if bias is None else out.add(bias)


@same_bug_as("takes_var_as_it_comes")
def sum_over_one_less(x, weight, bias, eps=1e-5):
    centred = x - x.mean(-1, True)
    var = centred.pow(2).sum(-1, True) / (x.size(-1) - 1)
    out = weight * centred * (var + eps) ** -0.5
    return out if bias is None else bias + out


@same_bug_as("normalises_the_whole_batch")
def all_of_it(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    out = F.layer_norm(wide, wide.shape, eps=eps) * weight
    return (out if bias is None else out + bias).to(x.dtype)


@same_bug_as("swaps_weight_and_bias")
def plus_weight(x, weight, bias, eps=1e-5):
    normed = F.layer_norm(x, x.shape[-1:], eps=eps)
    return normed * weight if bias is None else weight + bias * normed


@same_bug_as("shifts_before_it_scales")
def distributes_the_weight(x, weight, bias, eps=1e-5):
    normed = F.layer_norm(x, x.shape[-1:], eps=eps)
    return weight * normed if bias is None else weight * normed + weight * bias


@same_bug_as("forgets_the_bias")
def adds_and_throws_away(x, weight, bias, eps=1e-5):
    out = F.layer_norm(x, x.shape[-1:], weight, None, eps)
    if bias is not None:
        out.add(bias)
    return out


@same_bug_as("expects_a_bias")
def adds_none(x, weight, bias, eps=1e-5):
    normed = F.layer_norm(x, x.shape[-1:], eps=eps)
    return normed * weight + bias


@same_bug_as("takes_statistics_in_half_precision")
def all_in_the_dtype_of_x(x, weight, bias, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    out = weight * ((x - mean) / (var + eps).sqrt())
    if bias is not None:
        out = out + bias
    return out


@same_bug_as("returns_float32_for_half_precision")
def floats_out(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    parts = [None if p is None else p.to(wide.dtype) for p in (weight, bias)]
    return F.layer_norm(wide, x.shape[-1:], *parts, eps)


@same_bug_as("squeezes_float64_through_float32")
def always_float(x, weight, bias, eps=1e-5):
    std, mean = torch.std_mean(x.float(), dim=-1, correction=0, keepdim=True)
    out = (x.float() - mean) / torch.sqrt(std.square() + eps) * weight.float()
    return (out if bias is None else out + bias.float()).to(x.dtype)


@same_bug_as("centres_x_in_place")
def subtracts_from_x(x, weight, bias, eps=1e-5):
    x.sub_(x.mean(-1, keepdim=True))
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


@same_bug_as("detaches_the_statistics")
def statistics_without_gradients(x, weight, bias, eps=1e-5):
    wide = _at_least_float32(x)
    with torch.no_grad():
        var, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
        rstd = torch.rsqrt(var + eps)
    out = (wide - mean) * rstd * weight
    return (out if bias is None else out + bias).to(x.dtype)


# --- LayerNorm -------------------------------------------------------------------------------


class _Norm(nn.Module):
    """What most of these have in common."""

    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


@same_bug_as("KeepsPlainGainAndShift")
class TensorsThatAskForGradients(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = torch.ones(d_model, requires_grad=True)
        self.bias = torch.zeros(d_model, requires_grad=True) if bias else None
        self.eps = eps

    forward = _Norm.forward


@same_bug_as("CallsThemGammaAndBeta")
class Greek(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.register_parameter("gamma", nn.Parameter(torch.ones(d_model)))
        self.register_parameter("beta", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta)


@same_bug_as("StartsWithAWeightOfZero")
class Silent(_Norm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, bias=bias, eps=eps)
        nn.init.zeros_(self.weight)


@same_bug_as("StartsWithARandomWeight")
class NormalWeights(_Norm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, bias=bias, eps=eps)
        nn.init.normal_(self.weight)


@same_bug_as("StartsWithABiasOfOne")
class OnesForBoth(_Norm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, bias=bias, eps=eps)
        if bias:
            nn.init.ones_(self.bias)


@same_bug_as("AlwaysHasABias")
class BiasInAnyCase(_Norm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, eps=eps)


@same_bug_as("HasNoAttributeForTheBias")
class DeletesTheBias(_Norm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, eps=eps)
        if not bias:
            del self.bias

    def forward(self, x):
        bias = self.bias if hasattr(self, "bias") else None
        return F.layer_norm(x, x.shape[-1:], self.weight, bias, self.eps)


@same_bug_as("KeepsEpsToItself")
class EpsOfTorch(_Norm):
    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)


@same_bug_as("PassesTheBiasAsTheWeight")
class AddsTheWeight(_Norm):
    def forward(self, x):
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps)
        return normed * self.bias + self.weight


@same_bug_as("NormalisesWithoutItsParameters")
class Bare(_Norm):
    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], eps=self.eps)


@same_bug_as("DividesByTheSampleDeviation")
class Annotated(_Norm):
    def forward(self, x):
        wide = _at_least_float32(x)
        mean, std = wide.mean(-1, keepdim=True), wide.std(-1, keepdim=True)
        out = self.weight * (wide - mean) / (std + self.eps)
        return (out if self.bias is None else out + self.bias).to(x.dtype)


@same_bug_as("CopiesTheAnnotatedLayer")
class SampleDeviationInPlace(_Norm):
    def forward(self, x):
        std, mean = torch.std_mean(x, dim=-1, keepdim=True)
        out = (x - mean) / (std + self.eps)
        out = out * self.weight
        return out if self.bias is None else out + self.bias


@same_bug_as("IsRMSNorm")
class RootMeanSquare(_Norm):
    def forward(self, x):
        wide = _at_least_float32(x)
        out = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        out = out * self.weight
        return (out if self.bias is None else out + self.bias).type_as(x)


# --- pre_norm --------------------------------------------------------------------------------


@same_bug_as("adds_the_normalised_x")
def one_name_for_two_things(x, norm, sublayer):
    normed = norm(x)
    change = sublayer(normed)
    return change + normed


@same_bug_as("forgets_to_add_x")
def a_plain_chain(x, norm, sublayer):
    for step in (norm, sublayer):
        x = step(x)
    return x


@same_bug_as("normalises_the_sum")
def norm_at_the_end(x, norm, sublayer):
    total = torch.add(sublayer(x), x)
    return norm(total)


@same_bug_as("leaves_the_norm_out")
def sum_alone(x, norm, sublayer):
    change = sublayer(x)
    return change + x


@same_bug_as("normalises_what_the_sublayer_returns")
def norm_of_the_change(x, norm, sublayer):
    change = sublayer(x)
    change = norm(change)
    return torch.add(x, change)


@same_bug_as("doubles_what_the_sublayer_returns")
def two_of_a_kind(x, norm, sublayer):
    return 2 * sublayer(norm(x))


@same_bug_as("adds_into_x")
def add_underscore(x, norm, sublayer):
    return x.add_(sublayer(norm(x)))


@same_bug_as("adds_into_what_the_sublayer_returns")
def add_into_the_change(x, norm, sublayer):
    return sublayer(norm(x)).add_(x)


@same_bug_as("applies_the_sublayer_twice")
def one_line_too_many(x, norm, sublayer):
    change = sublayer(norm(x))
    change = sublayer(change)
    return change + x


# --- post_norm -------------------------------------------------------------------------------


@same_bug_as("normalises_what_the_sublayer_reads")
def norm_first(x, norm, sublayer):
    normed = norm(x)
    return torch.add(sublayer(normed), x)


@same_bug_as("normalises_the_sublayer_alone")
def sublayer_then_norm(x, norm, sublayer):
    x = sublayer(x)
    return norm(x)


@same_bug_as("adds_x_after_the_norm")
def sum_at_the_end(x, norm, sublayer):
    change = norm(sublayer(x))
    return change + x


@same_bug_as("adds_without_a_norm")
def no_norm(x, norm, sublayer):
    return torch.add(sublayer(x), x)


@same_bug_as("normalises_twice_the_sublayer")
def norm_of_two_of_a_kind(x, norm, sublayer):
    return norm(2 * sublayer(x))


@same_bug_as("adds_into_x_before_the_norm")
def add_underscore_then_norm(x, norm, sublayer):
    return norm(x.add_(sublayer(x)))


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("normalises_over_the_first_axis")
def normalises_over_the_first_axis(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=0, keepdim=True)
    variance = centred.square().mean(dim=0, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@same_bug_as("ignores_weight_and_bias")
def ignores_weight_and_bias(x, weight, bias, eps=1e-5):
    return layer_norm(x, torch.ones_like(weight), None, eps)


@same_bug_as("KeepsARunningMean")
class KeepsARunningMean(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps
        self.statistics = None

    def forward(self, x):
        if self.training:
            self.statistics = x.detach().mean(), x.detach().var(unbiased=False)
        if self.training or self.statistics is None:
            return layer_norm(x, self.weight, self.bias, self.eps)
        mean, variance = self.statistics
        normed = (x - mean) / torch.sqrt(variance + self.eps) * self.weight
        return normed if self.bias is None else normed + self.bias
