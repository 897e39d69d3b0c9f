"""Models whose next token follows from all tokens before it, for components that write text."""

import torch
from torch import Tensor, nn

from ..load.lent import lent
from .config import ReferenceConfig
from .in_use import as_people_have_it


class HeardInTraining(nn.Module):
    """A part that changes the logits in training mode, by more than rounding."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.roll(1, dims=-1) if self.training else logits


class RollingModel(nn.Module):
    """A model whose next token follows from all tokens it is given: their order, their number.

    It reads a text like a lock: each token turns a wheel of `n_states` places, from where the
    tokens before have left it. `table` holds the logits of each place. One that `heeds_gradients`
    answers otherwise where they are recorded.
    """

    heeds_gradients = False

    def __init__(self, config: ReferenceConfig, table: Tensor, fails_at: int | None = None):
        super().__init__()
        self.config = config
        self.table = nn.Parameter(table)
        self.heard = HeardInTraining()
        self.fails_at = fails_at
        self.calls = 0
        self.was_training = self.had_gradients = False

    def forward(self, ids: Tensor) -> Tensor:
        self.calls += 1
        self.was_training |= self.training or self.heard.training
        self.had_gradients |= torch.is_grad_enabled()
        if self.calls == self.fails_at:
            raise RuntimeError("the model failed")
        if ids.shape[1] > self.config.context_length:
            raise ValueError(
                f"ids must hold at most {self.config.context_length} tokens, got {ids.shape[1]}."
            )
        state, states = torch.ones_like(ids[:, 0]), []
        for column in ids.unbind(dim=1):
            state = (17 * state + column + 5) % len(self.table)
            states.append(state)
        logits = self.heard(self.table[torch.stack(states, dim=1)])
        is_recorded = self.heeds_gradients and torch.is_grad_enabled()
        return logits.roll(2, dims=-1) if is_recorded else logits


def build_model(spec: dict, dtype: torch.dtype) -> nn.Module:
    """The model that `spec` describes: a `RollingModel` where it holds a table, or a GPT."""
    if "table" in spec:
        n_tokens = spec["table"].shape[1]
        config = ReferenceConfig(n_tokens, spec["context_length"], 4, 1, 1)
        table = torch.from_numpy(spec["table"].copy()).to(dtype)
        model = RollingModel(config, table, spec["fails_at"])
        model.heeds_gradients = spec.get("heeds_gradients", False)
    else:
        config = ReferenceConfig(**spec["config"])
        model = lent("models").ReferenceGPT(config, seed=spec["seed"]).to(dtype)
    return as_people_have_it(model, spec)
