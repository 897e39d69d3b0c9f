"""Implementations of `layer_norm` for `test_layer_norm`: the zoo's, and other gradients."""

import torch
import torch.nn.functional as F

from course_lib.transformer import norm as model

from .. import bugs_of
from . import faulty, from_the_zoo, right

TEST = "test_layer_norm"


# --- right -----------------------------------------------------------------------------------


@right(TEST)
def ours(x, weight, bias, eps=1e-5):
    return model.layer_norm(x, weight, bias, eps)


@right(TEST)
def by_torch(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


@right(TEST)
def off_by_a_few_digits(x, weight, bias, eps=1e-5):
    """Right ones agree to 1e-6, and need not agree to more."""
    exact = F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    return exact + (3e-8 * exact).detach()


@right(TEST)
def channels_first(x, weight, bias, eps=1e-5):
    wide = x.movedim(-1, 0).to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=0, correction=0)
    normed = ((wide - mean) * torch.rsqrt(variance + eps)).movedim(0, -1) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@right(TEST)
def by_a_matrix(x, weight, bias, eps=1e-5):
    """Centred by a matrix, which adds in another order."""
    wide = x.double()
    width = x.shape[-1]
    centre = torch.eye(width, dtype=wide.dtype) - 1 / width
    centred = wide @ centre
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    normed = centred * weight / (length.square() / width + eps) ** 0.5
    return (normed if bias is None else bias + normed).to(x.dtype)


class _ByHand(torch.autograd.Function):
    """Layer norm without weight and bias, whose gradient was worked out on paper."""

    @staticmethod
    def forward(ctx, x, eps):
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = (centred.square().mean(dim=-1, keepdim=True) + eps).sqrt()
        normed = centred / deviation
        ctx.save_for_backward(normed, deviation)
        return normed

    @staticmethod
    def backward(ctx, towards):
        normed, deviation = ctx.saved_tensors
        mean = towards.mean(dim=-1, keepdim=True)
        along = (towards * normed).mean(dim=-1, keepdim=True)
        return (towards - mean - normed * along) / deviation, None


@right(TEST)
def with_a_gradient_by_hand(x, weight, bias, eps=1e-5):
    normed = _ByHand.apply(x.to(torch.promote_types(x.dtype, torch.float32)), eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


# --- faulty ----------------------------------------------------------------------------------

# Not to be seen in float64 near 0, or through a stand-in, which copies what it is given.
_NOT_HERE = {
    "takes_statistics_in_half_precision",
    "copies_the_annotated_formula",
    "takes_var_as_it_comes",
    "returns_float32_for_half_precision",
    "squeezes_float64_through_float32",
    "centres_x_in_place",
    "takes_the_variance_in_one_pass",
}

for _bug in bugs_of("layer_norm"):
    if _bug.name not in _NOT_HERE:
        from_the_zoo(TEST, _bug)


@faulty(TEST, symptom="The weight stays as it was, however long one trains; all outputs are right.")
def detaches_the_weight(x, weight, bias, eps=1e-5):
    return model.layer_norm(x, weight.detach(), bias, eps)


@faulty(TEST, symptom="The bias stays as it was, however long one trains; all outputs are right.")
def detaches_the_bias(x, weight, bias, eps=1e-5):
    return model.layer_norm(x, weight, None if bias is None else bias.detach(), eps)


@faulty(TEST, symptom="Nothing before the norm learns; all outputs are right.")
def detaches_x(x, weight, bias, eps=1e-5):
    return model.layer_norm(x.detach(), weight, bias, eps)


@faulty(TEST, symptom="Outputs are right; training is a little off, the more so for loud vectors.")
def detaches_the_mean(x, weight, bias, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True).detach()
    normed = centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + eps) * weight
    return normed if bias is None else normed + bias
