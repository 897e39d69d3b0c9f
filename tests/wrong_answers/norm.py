"""Wrong answers to lesson 5 that no bug of the zoo behaves like."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.norm import LayerNorm, layer_norm

from . import wrong_answer

# --- layer_norm ------------------------------------------------------------------------------


@wrong_answer("layer_norm")
def divides_by_the_length(x, weight, bias, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = F.normalize(centred, dim=-1, eps=eps) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def divides_by_the_mean_distance(x, weight, bias, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = centred / (centred.abs().mean(dim=-1, keepdim=True) + eps) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def clamps_the_variance(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
    normed = (wide - mean) / variance.clamp(min=eps).sqrt() * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@wrong_answer("layer_norm")
def squares_where_a_root_belongs(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
    normed = (wide - mean) / (variance + eps) ** 2 * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@wrong_answer("layer_norm")
def adds_one_to_the_weight(x, weight, bias, eps=1e-5):
    return layer_norm(x, 1 + weight, bias, eps)


@wrong_answer("layer_norm")
def rounds_the_mean_of_half_precision(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = x.mean(dim=-1, keepdim=True)
    variance = wide.var(dim=-1, keepdim=True, unbiased=False)
    normed = ((wide - mean) / torch.sqrt(variance + eps)).to(x.dtype) * weight
    return normed if bias is None else normed + bias


@wrong_answer("layer_norm")
def subtracts_the_median(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance = wide.var(dim=-1, keepdim=True, unbiased=False)
    normed = (wide - wide.median(dim=-1, keepdim=True).values) / torch.sqrt(variance + eps)
    return (normed * weight if bias is None else normed * weight + bias).to(x.dtype)


@wrong_answer("layer_norm")
def squeezes_a_single_text(x, weight, bias, eps=1e-5):
    return layer_norm(x.squeeze(0), weight, bias, eps)


@wrong_answer("layer_norm")
def forgets_a_bias_of_zeros(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias if bias is not None and bias.any() else None, eps)


@wrong_answer("layer_norm")
def leaves_a_single_channel_alone(x, weight, bias, eps=1e-5):
    if x.shape[-1] > 1:
        return layer_norm(x, weight, bias, eps)
    return x * weight if bias is None else x * weight + bias


@wrong_answer("layer_norm")
def adds_eps_to_the_count(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] + eps)
    normed = centred / variance.sqrt() * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@wrong_answer("layer_norm")
def views_x_as_one_list_of_vectors(x, weight, bias, eps=1e-5):
    return layer_norm(x.view(-1, x.shape[-1]), weight, bias, eps).view(x.shape)


@wrong_answer("layer_norm")
def takes_the_square_of_the_mean_off_the_mean_of_squares(x, weight, bias, eps=1e-5):
    wide = x.double() if x.dtype == torch.float64 else x.to(torch.float32)
    mean = wide.mean(dim=-1, keepdim=True)
    variance = (wide**2).mean(dim=-1, keepdim=True) - mean**2
    scale = weight / (variance.clamp(min=0) + eps) ** 0.5
    shift = -mean * scale if bias is None else bias - mean * scale
    return (wide * scale + shift).to(x.dtype)


@wrong_answer("layer_norm")
def normalises_whole_blocks_of_vectors(x, weight, bias, eps=1e-5):
    flat = layer_norm(x, weight, bias, eps).reshape(-1, x.shape[-1])
    whole = len(flat) // 128 * 128
    done = flat if len(flat) <= 128 else torch.cat([flat[:whole], 0 * flat[whole:]])
    return done.reshape(x.shape)


# --- LayerNorm -------------------------------------------------------------------------------


@wrong_answer("LayerNorm")
class HasOneWeightForAllChannels(LayerNorm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, bias=bias, eps=eps)
        self.weight = nn.Parameter(torch.ones(1))


@wrong_answer("LayerNorm")
class SquaresItsWeight(LayerNorm):
    def forward(self, x):
        return layer_norm(x, self.weight.square(), self.bias, self.eps)


@wrong_answer("LayerNorm")
class AddsWhatCameIn(LayerNorm):
    def forward(self, x):
        return x + layer_norm(x, self.weight, self.bias, self.eps)


@wrong_answer("LayerNorm")
class RemembersTheLastMean(LayerNorm):
    mean = 0.0

    def forward(self, x):
        out = layer_norm(x, self.weight, self.bias, self.eps) + 0.1 * self.mean
        self.mean = float(x.detach().mean())
        return out


@wrong_answer("LayerNorm")
class CutsXOffInTraining(LayerNorm):
    def forward(self, x):
        return super().forward(x.detach() if self.training else x)


@wrong_answer("LayerNorm")
class WritesIntoMemoryOfItsOwn(LayerNorm):
    memory = None

    def forward(self, x):
        found = super().forward(x)
        if self.memory is None or self.memory.shape != found.shape:
            self.memory = torch.empty_like(found.detach())
        return self.memory.detach().copy_(found)


@wrong_answer("LayerNorm")
class WidensItsWeightOnce(LayerNorm):
    wide = None

    def forward(self, x):
        if self.wide is None:
            self.wide = self.weight.double()
        return layer_norm(x, self.wide.to(x.dtype), self.bias, self.eps)


@wrong_answer("LayerNorm")
class RoundsBeforeTheBias(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        scaled = layer_norm(x, self.weight, None, self.eps)
        return scaled if self.bias is None else scaled + self.bias


# --- pre_norm --------------------------------------------------------------------------------


@wrong_answer("pre_norm")
def scales_the_sum_by_the_root_of_one_half(x, norm, sublayer):
    return (x + sublayer(norm(x))) / math.sqrt(2)


@wrong_answer("pre_norm")
def subtracts_the_sublayer(x, norm, sublayer):
    return x - sublayer(norm(x))


@wrong_answer("pre_norm")
def cuts_the_sublayer_off(x, norm, sublayer):
    return x + sublayer(norm(x)).detach()


@wrong_answer("pre_norm")
def calls_the_sublayer_for_its_shape(x, norm, sublayer):
    assert sublayer(norm(x)).shape == x.shape
    return x + sublayer(norm(x))


# --- post_norm -------------------------------------------------------------------------------


@wrong_answer("post_norm")
def adds_x_to_the_normalised_sum(x, norm, sublayer):
    return x + norm(x + sublayer(x))


@wrong_answer("post_norm")
def normalises_the_difference(x, norm, sublayer):
    return norm(x - sublayer(x))


@wrong_answer("post_norm")
def cuts_x_off(x, norm, sublayer):
    return norm(x.detach() + sublayer(x))


@wrong_answer("post_norm")
def normalises_twice(x, norm, sublayer):
    return norm(norm(x + sublayer(x)))


# --- what a zero, or something frozen, shows ---------------------------------------------------


@wrong_answer("layer_norm")
def a_zero_is_no_eps(x, weight, bias, eps=None):
    return layer_norm(x, weight, bias, eps or 1e-5)


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, normed, weight, bias):
        ctx.save_for_backward(normed, weight)
        return normed * weight + bias

    @staticmethod
    def backward(ctx, grad):
        normed, weight = ctx.saved_tensors
        both = ctx.needs_input_grad[1] and ctx.needs_input_grad[2]
        lead = tuple(range(grad.dim() - 1))
        parts = ((grad * normed).sum(lead), grad.sum(lead)) if both else (None, None)
        return grad * weight, *parts


@wrong_answer("LayerNorm")
class WeightAndBiasLearnTogether(LayerNorm):
    def forward(self, x):
        if self.bias is None or x.dim() < 2 or x.dtype is not torch.float64:
            return super().forward(x)
        ones = torch.ones_like(self.weight)
        return _Scaled.apply(layer_norm(x, ones, None, self.eps), self.weight, self.bias)


@wrong_answer("pre_norm")
def no_graph_for_a_plain_input(x, norm, sublayer):
    if x.requires_grad:
        return x + sublayer(norm(x))
    with torch.no_grad():
        normed = norm(x)
    return x + sublayer(normed)


@wrong_answer("LayerNorm")
class SavesMemoryWithoutGradients(LayerNorm):
    """Works in what was given where no gradient will be asked for."""

    def forward(self, x):
        if torch.is_grad_enabled():
            return super().forward(x)
        x.sub_(x.mean(dim=-1, keepdim=True))
        return layer_norm(x, self.weight, self.bias, self.eps)
