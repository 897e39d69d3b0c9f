"""Small models that a call needs as an argument, built from sizes and a seed on either side.

`ReferenceGPT` has the parts, names and shapes that the lessons give a GPT, so components written
for the learner's model run on it. It is made of torch's own functions: an oracle, too.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..given.config import ReferenceConfig


class ReferenceEmbeddings(nn.Module):
    def __init__(self, config: ReferenceConfig):
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.context_length, config.d_model)

    def forward(self, ids: Tensor, offset: int = 0) -> Tensor:
        end = offset + ids.shape[1]
        if end > self.position.num_embeddings:
            raise ValueError(f"ids must end by position {self.position.num_embeddings}, got {end}.")
        return self.token(ids) + self.position.weight[offset:end]


class ReferenceAttention(nn.Module):
    def __init__(self, config: ReferenceConfig):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        if mask is not None and mask.dim() > 2:
            mask = mask.unsqueeze(-3)
        found = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout.p if self.training else 0.0
        )
        return self.dropout(self.out(found.transpose(-3, -2).flatten(-2)))


class ReferenceMLP(nn.Module):
    def __init__(self, config: ReferenceConfig):
        super().__init__()
        self.up = nn.Linear(config.d_model, 4 * config.d_model, bias=config.bias)
        self.down = nn.Linear(4 * config.d_model, config.d_model, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.approximate = config.gelu_approximate

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.down(F.gelu(self.up(x), approximate=self.approximate)))


def norm_of_class(own: type[nn.Module]) -> type[nn.Module]:
    """A layer norm that is an `own` and no `nn.LayerNorm`, whatever an `own` is made from."""

    def make(self, d_model: int, *, bias: bool = True):
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)

    return type("LayerNorm", (own,), {"__init__": make, "forward": forward})


class ReferenceBlock(nn.Module):
    def __init__(self, config: ReferenceConfig, norm: type[nn.Module] = nn.LayerNorm):
        super().__init__()
        self.norm1 = norm(config.d_model, bias=config.bias)
        self.attention = ReferenceAttention(config)
        self.norm2 = norm(config.d_model, bias=config.bias)
        self.mlp = ReferenceMLP(config)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class ReferenceGPT(nn.Module):
    """A GPT with weights drawn from `seed`, large enough that its text varies.

    Args:
        norm: the class of its norms.
    """

    def __init__(self, config: ReferenceConfig, *, seed: int, norm: type[nn.Module] = nn.LayerNorm):
        super().__init__()
        self.config = config
        self.embeddings = ReferenceEmbeddings(config)
        self.blocks = nn.ModuleList(ReferenceBlock(config, norm) for _ in range(config.n_layers))
        self.norm = norm(config.d_model, bias=config.bias)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        generator = torch.Generator().manual_seed(seed)
        scales = {id(part.weight) for part in self.modules() if isinstance(part, nn.LayerNorm)}
        with torch.no_grad():
            for parameter in self.parameters():
                drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                size = parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.3
                parameter.copy_(drawn * size + (1.0 if id(parameter) in scales else 0.0))
            self.embeddings.token.weight.mul_(config.d_model**0.5)
            self.embeddings.position.weight.mul_(config.d_model**0.5)

    def forward(self, ids: Tensor) -> Tensor:
        n_tokens = ids.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=ids.device).tril()
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))
