"""Models that give recomputing away, for components that work with a cache."""

import torch
from torch import Tensor, nn

from ..given.config import ReferenceConfig
from ..given.in_use import as_people_have_it
from .models import ReferenceGPT


class GrowingEmbedding(nn.Embedding):
    """Scales the n-th position it is ever asked for by a number of n: once each is right."""

    n_seen = 0

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(self.n_seen, self.n_seen + ids.shape[-1], device=ids.device)
        self.n_seen += ids.shape[-1]
        scale = 1.5 + torch.cos(1.7 * places.double()).to(self.weight.dtype)
        return super().forward(ids) * scale[:, None]


def build_model(spec: dict, dtype: torch.dtype = torch.float64) -> ReferenceGPT:
    """The model that `spec` describes, in evaluation mode."""
    model = ReferenceGPT(ReferenceConfig(**spec["config"]), seed=spec["seed"]).to(dtype)
    if spec["growing"]:
        model.embeddings.token.__class__ = GrowingEmbedding
    if spec.get("heard"):
        model.head.register_forward_hook(_as_it_is_used)
    return as_people_have_it(model, spec).eval()


def _as_it_is_used(head: nn.Module, inputs, logits: Tensor) -> Tensor:
    """Other logits in training, and others again where gradients are recorded."""
    return logits.roll(int(head.training) + 2 * int(torch.is_grad_enabled()), dims=-1)


@torch.no_grad()
def roll_weights(model: nn.Module) -> None:
    """Change every parameter, exactly in every dtype: its rows move on by one."""
    for parameter in model.parameters():
        parameter.copy_(parameter.roll(1, dims=0))
