"""Right ways to write lesson 5 that differ from ours."""

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.norm import layer_norm

from . import variant

# --- layer_norm ------------------------------------------------------------------------------


@variant("layer_norm", title="torch's own function")
def layer_norm_by_torch(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


@variant("layer_norm", title="var(unbiased=False) and rsqrt; scaled and shifted in x's own dtype")
def layer_norm_by_rsqrt(x, weight, bias, eps=1e-5):
    wide = x if x.dtype == torch.float64 else x.float()
    mean = wide.mean(-1, keepdim=True)
    variance = wide.var(-1, keepdim=True, unbiased=False)
    normed = (wide - mean) * torch.rsqrt(variance + eps) * weight
    return normed.type_as(x) if bias is None else torch.add(normed, bias).type_as(x)


@variant("layer_norm", title="always in float64, by sums and a loop over flattened vectors")
def layer_norm_vector_by_vector(x, weight, bias, eps=1e-5):
    vectors = []
    for vector in x.double().reshape(-1, x.size(-1)):
        centred = vector - vector.sum() / len(vector)
        vectors.append(centred / ((centred @ centred) / len(vector) + eps).sqrt())
    normed = torch.stack(vectors).reshape(x.shape) * weight
    if bias is None:
        bias = torch.zeros_like(weight)
    return (normed + bias).to(x.dtype)


@variant("layer_norm", title="channels first: transposed, normalised over axis 0, transposed back")
def layer_norm_channels_first(x, weight, bias, eps=1e-5):
    wide = x.movedim(-1, 0)
    wide = wide.float() if wide.element_size() < 4 else wide
    variance, mean = torch.var_mean(wide, dim=0, correction=0)
    normed = ((wide - mean) / (variance + eps).sqrt()).movedim(0, -1) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


# --- LayerNorm -------------------------------------------------------------------------------


@variant("LayerNorm", title="torch's own module")
class LayerNormOfTorch(nn.LayerNorm):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__(d_model, eps=eps, bias=bias)


@variant("LayerNorm", title="register_parameter, bias first; one call of F.layer_norm")
class LayerNormRegistered(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)
        self.register_parameter("weight", nn.Parameter(torch.ones(d_model)))
        self.epsilon = eps

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


@variant("LayerNorm", title="written out in forward, without layer_norm")
class LayerNormWrittenOut(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(d_model))
        nn.init.ones_(self.weight)
        self.bias = None
        if bias:
            self.bias = nn.Parameter(torch.empty(d_model))
            nn.init.zeros_(self.bias)

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, dim=-1, correction=0, keepdim=True)
        normed = (wide - mean) / torch.sqrt(variance + self.eps) * self.weight
        return (normed if self.bias is None else normed + self.bias).to(x.dtype)


@variant("LayerNorm", title="eps kept as a tensor that is no buffer")
class LayerNormWithATensor(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.full((d_model,), 1.0))
        self.bias = nn.Parameter(torch.full((d_model,), 0.0)) if bias else None
        self.eps = torch.tensor(eps, dtype=torch.float64)  # no buffer: it is not cast

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, float(self.eps))


# --- pre_norm --------------------------------------------------------------------------------


@variant("pre_norm", title="step by step, the sublayer's part first")
def pre_norm_step_by_step(x, norm, sublayer):
    normed = norm(x)
    change = sublayer(normed)
    return torch.add(change, x)


@variant("pre_norm", title="x is kept under another name, then x is overwritten")
def pre_norm_with_a_shortcut(x, norm, sublayer):
    shortcut = x
    x = norm(x)
    x = sublayer(x)
    return shortcut + x


@variant("pre_norm", title="the sum is written into a copy of x")
def pre_norm_into_a_copy(x, norm, sublayer):
    out = x.clone()
    out += sublayer(norm(x))
    return out


# --- post_norm -------------------------------------------------------------------------------


@variant("post_norm", title="step by step")
def post_norm_step_by_step(x, norm, sublayer):
    change = sublayer(x)
    total = torch.add(change, x)
    return norm(total)


@variant("post_norm", title="x is kept under another name, then x is overwritten")
def post_norm_with_a_shortcut(x, norm, sublayer):
    shortcut = x
    x = sublayer(x)
    x = shortcut + x
    return norm(x)


@variant("post_norm", title="the sum is written into a copy of x")
def post_norm_into_a_copy(x, norm, sublayer):
    total = x.clone()
    total += sublayer(x)
    return norm(total)
