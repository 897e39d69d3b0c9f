"""Right ways to write the GELU and the MLP that differ from ours."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.mlp import gelu

from . import variant

# --- gelu ------------------------------------------------------------------------------------


@variant("gelu", title="torch's own function, whose error is replaced")
def gelu_by_torch(x, approximate="none"):
    if approximate not in {"none", "tanh"}:
        raise ValueError(f"approximate={approximate!r} is neither 'none' nor 'tanh'.")
    return F.gelu(x, approximate=approximate)


@variant("gelu", title="the tail by erfc; the tanh form as a sigmoid of twice the inner part")
def gelu_by_erfc_and_sigmoid(x, approximate="none"):
    wide = x if x.dtype == torch.float64 else x.float()
    match approximate:
        case "none":
            share = 0.5 * torch.erfc(-wide * math.sqrt(0.5))
        case "tanh":
            inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide.pow(3))
            share = torch.sigmoid(2 * inner)
        case _:
            raise ValueError(f"unknown approximate: {approximate}")
    return (wide * share).type_as(x)


@variant("gelu", title="a distribution object for the share; x² factored out of the cube")
def gelu_by_a_distribution(x, approximate="none"):
    wide = x.to(torch.promote_types(torch.float32, x.dtype))
    if approximate == "none":
        zero = torch.zeros((), dtype=wide.dtype, device=wide.device)
        share = torch.distributions.Normal(zero, zero + 1).cdf(wide)
    elif approximate == "tanh":
        factor = (2 / math.pi) ** 0.5
        share = 0.5 + 0.5 * (wide * factor * (1 + 0.044715 * wide * wide)).tanh()
    else:
        raise ValueError("approximate is " + repr(approximate) + ', not "none" or "tanh".')
    return torch.mul(wide, share).to(x.dtype)


@variant("gelu", title="always in float64; a table of functions; the half taken from x")
def gelu_by_a_table(x, approximate="none"):
    curves = {
        "none": lambda x: torch.special.erf(x * 2**-0.5),
        "tanh": lambda x: torch.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)),
    }
    try:
        curve = curves[approximate]
    except KeyError:
        raise ValueError(f"no curve is called approximate={approximate!r}.") from None
    wide = x.double()
    half = wide / 2
    return (half + half * curve(wide)).to(dtype=x.dtype)


@variant("gelu", title="the share by log_ndtr; x multiplied in its own dtype")
def gelu_by_the_logarithm(x, approximate="none"):
    if approximate != "none" and approximate != "tanh":
        raise ValueError(f'approximate must be one of two, got "{approximate}"')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if approximate == "none":
        return x * torch.special.log_ndtr(wide).exp().to(x.dtype)
    inner = math.sqrt(2 / math.pi) * torch.addcmul(wide, wide * 0.044715, wide.square())
    return x * torch.nn.functional.logsigmoid(2 * inner).exp().to(x.dtype)


# --- MLP -------------------------------------------------------------------------------------


@variant("MLP", title="torch's GELU as a module; F.dropout told the mode; down made first")
class MLPWithModules(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        hidden = 4 * d_model if d_mlp is None else d_mlp
        self.down = nn.Linear(hidden, d_model, bias)
        self.bend = nn.GELU(approximate)
        self.up = nn.Linear(d_model, hidden, bias)
        self.p = dropout

    def forward(self, x):
        return F.dropout(self.down(self.bend(self.up(x))), self.p, self.training)


@variant("MLP", title="the weights are used by hand: matrix products, biases added if any")
class MLPByMatrixProducts(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = d_mlp or d_model * 4
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(p=dropout)
        self.approximate = approximate

    def forward(self, x):
        hidden = x @ self.up.weight.T
        if self.up.bias is not None:
            hidden = hidden + self.up.bias
        result = gelu(hidden, approximate=self.approximate) @ self.down.weight.mT
        if self.down.bias is not None:
            result = result + self.down.bias
        return self.dropout(result)


@variant("MLP", title="a loop over the layers; dropout is Identity where p is 0")
class MLPByALoop(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        widths = {"up": (d_model, d_mlp or 4 * d_model), "down": (d_mlp or 4 * d_model, d_model)}
        for name, (n_in, n_out) in widths.items():
            self.add_module(name, nn.Linear(n_in, n_out, bias=bias))
        self.rest = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        self.steps = [self.up, lambda x: gelu(x, approximate), self.down, self.rest]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


@variant("MLP", title="dropout written out: a mask of its own, in training only")
class MLPWithItsOwnDropout(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        if d_mlp is None:
            d_mlp = 4 * d_model
        self.up, self.down = nn.Linear(d_model, d_mlp, bias), nn.Linear(d_mlp, d_model, bias)
        self.options = {"approximate": approximate}
        self.dropout = dropout

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])  # one row a position, whatever stood before
        result = self.down(gelu(self.up(flat), **self.options)).reshape(x.shape)
        if not self.training or self.dropout == 0:
            return result
        kept = torch.rand_like(result) >= self.dropout
        return result * kept / (1 - self.dropout)


@variant("MLP", title="a sum over blocks of hidden numbers, block by block")
class MLPBlockByBlock(nn.Module):
    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x):
        wide = torch.promote_types(x.dtype, torch.float32)  # a sum in bfloat16 loses digits
        total = 0.0 if self.down.bias is None else self.down.bias.to(wide)
        for hidden, back in zip(
            self.up(x).split(16, dim=-1), self.down.weight.split(16, dim=1), strict=True
        ):
            total = total + F.linear(gelu(hidden, self.approximate).to(wide), back.to(wide))
        return self.dropout(total.to(x.dtype))
