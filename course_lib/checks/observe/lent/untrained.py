"""A model as training starts from it, where a package's own cannot be used."""

import torch

from ..given.config import ReferenceConfig
from .models import ReferenceGPT


@torch.no_grad()
def untrained_model(config: ReferenceConfig, seed: int) -> ReferenceGPT:
    """A model with the weights that `init_weights` gives a fresh one."""
    model = ReferenceGPT(config, seed=seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            is_into_stream = name.endswith(("attention.out.weight", "mlp.down.weight"))
            narrower = (2 * len(model.blocks)) ** 0.5 if is_into_stream else 1.0
            parameter.normal_(std=0.02 / narrower)
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return model
