"""Right ways to write a block that differ from ours."""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.mlp import MLP
from course_lib.transformer.multihead import MultiHeadAttention
from course_lib.transformer.norm import LayerNorm, pre_norm

from . import variant


@variant("Block", title="two calls of pre_norm, the mask bound by a lambda")
class BlockByPreNorm(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm1, self.norm2 = LayerNorm(d_model, bias=bias), LayerNorm(d_model, bias=bias)

    def forward(self, x, mask=None):
        x = pre_norm(x, self.norm1, lambda normed: self.attention(normed, mask))
        return pre_norm(x, self.norm2, self.mlp)


@variant("Block", title="a loop over two steps; what is added is collected in a new tensor")
class BlockByALoop(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.mlp = MLP(d_model, 4 * d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        stream = x
        for norm, layer in (
            (self.norm1, functools.partial(self.attention, mask=mask)),
            (self.norm2, self.mlp),
        ):
            change = layer(norm(stream))
            stream = torch.add(change, stream)
        return stream


@variant("Block", title="torch's norms; x cloned, and added to in place after that")
class BlockIntoACopy(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = nn.LayerNorm(d_model, bias=bias)
        self.mlp = MLP(d_model, bias=bias, dropout=dropout, approximate=approximate)

    def forward(self, x, mask=None):
        stream = x.clone()
        stream += self.attention(self.norm1(x), mask=mask)
        stream = stream + self.mlp(self.norm2(stream))
        return stream


@variant("Block", title="the MLP written out here, with its own dropout; no MLP class")
class BlockWithItsMLPWrittenOut(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        self.norm1 = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.norm2 = LayerNorm(d_model, bias=bias)
        self.mlp = nn.ModuleDict(
            {
                "up": nn.Linear(d_model, 4 * d_model, bias=bias),
                "down": nn.Linear(4 * d_model, d_model, bias=bias),
            }
        )
        self.p, self.approximate = dropout, approximate

    def forward(self, x, mask=None):
        h = x + self.attention(self.norm1(x), mask)
        hidden = F.gelu(self.mlp["up"](self.norm2(h)), approximate=self.approximate)
        return h + F.dropout(self.mlp["down"](hidden), self.p, training=self.training)


@variant("Block", title="nothing computed twice, everything in one sum: x + a + m")
class BlockAsOneSum(nn.Module):
    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        for name, part in {
            "norm1": LayerNorm(d_model, bias=bias),
            "attention": MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout),
            "norm2": LayerNorm(d_model, bias=bias),
            "mlp": MLP(d_model, bias=bias, dropout=dropout, approximate=approximate),
        }.items():
            setattr(self, name, part)

    def forward(self, x, mask=None):
        found = self.attention(self.norm1(x), mask)
        thought = self.mlp(self.norm2(x + found))
        return x + found + thought
