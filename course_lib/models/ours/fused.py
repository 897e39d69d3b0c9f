"""The same model through torch's fused functions: the same weights, the same logits, less time.

The lessons spell every step out. These classes do in one call what a lesson does in five, for
running a model rather than for reading it; a test holds the two equal.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.transformer.mlp import MLP
from course_lib.transformer.model import GPT
from course_lib.transformer.multihead import MultiHeadAttention, merge_heads, split_heads
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.shapes import Bool, Float, Int


class FusedLayerNorm(LayerNorm):
    """`LayerNorm` in one pass over memory."""

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class FusedMLP(MLP):
    """`MLP` with torch's own GELU."""

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        return self.dropout(self.down(F.gelu(self.up(x), approximate=self.approximate)))


class FusedAttention(MultiHeadAttention):
    """`MultiHeadAttention` that never holds the weights of all pairs.

    No mask means causal here, which the kernels know how to do without one. Every query must have
    something to attend to.
    """

    def forward(
        self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "B T C"]:
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1))
        dropout = self.dropout.p if self.training else 0.0
        if mask is None:
            gathered = causal_attention(q, k, v, dropout)
        else:
            gathered = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask.unsqueeze(-3), dropout_p=dropout
            )
        return self.dropout(self.out(merge_heads(gathered)))


SHORT = 512  # up to this length all pairs of a head fit into a core's cache


def causal_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H T D"],
    v: Float[Tensor, "B H T D"],
    dropout: float = 0.0,
) -> Float[Tensor, "B H T D"]:
    """Every query attends to its own position and those before.

    On a CPU in bfloat16, torch's fused kernel takes twice as long as two products and a softmax,
    while the text is short: there it is these.
    """
    n = q.shape[-2]
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or n > SHORT:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    future = torch.full((n, n), float("-inf"), dtype=q.dtype).triu(1)
    with torch.autocast("cpu", enabled=False):  # it would copy all pairs to float32 and back
        scores = torch.baddbmm(
            future, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5
        )
        weights = F.dropout(scores.softmax(dim=-1), dropout)
        return torch.bmm(weights, v.flatten(0, 1)).view(q.shape)


class FusedGPT(GPT):
    """`GPT` made of the fused parts."""

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


FUSED = {
    GPT: FusedGPT,
    LayerNorm: FusedLayerNorm,
    MLP: FusedMLP,
    MultiHeadAttention: FusedAttention,
}


def fuse(model: GPT) -> GPT:
    """The model itself, its parts exchanged for the fused ones; weights and names stay."""
    for part in model.modules():
        part.__class__ = FUSED.get(type(part), type(part))
    return model
