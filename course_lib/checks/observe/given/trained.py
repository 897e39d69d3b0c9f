"""Models that write down how they are called, and optimizers: what is trained and evaluated."""

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from ..load.lent import lent
from .config import ReferenceConfig
from .in_use import as_people_have_it

WISH_MET, WISH_UNMET = 0.75, 1.5  # scales of the logits


class Recorded:
    """A model that writes down how it is called, and answers otherwise in training.

    The model and its head each halve the logits while they are in training: what dropout does,
    without chance.
    Where it `wants` to be used in some way, the size of the logits says whether it is.
    A row that holds the last token of the vocabulary is `trouble`: its logits are nan ("nan"), or
    token 0 becomes impossible in it ("inf"), or its loss is fine and the gradient is nan ("steep"),
    or the call fails ("raise").
    """

    trouble, wants = "", None

    def forward(self, ids: Tensor) -> Tensor:
        kind = ids.device.type
        is_on = torch.is_autocast_enabled(kind)
        self.calls.append(
            {
                "rows": len(ids),
                "training": {self.training, self.head.training},
                "gradients": torch.is_grad_enabled(),
                "autocast": name_of_dtype(torch.get_autocast_dtype(kind)) if is_on else "none",
            }
        )
        is_troubled = (ids == self.vocab_size - 1).any(dim=1)[:, None, None]
        if self.trouble == "raise" and is_troubled.any():
            raise RuntimeError("the model cannot read this token")
        logits = super().forward(ids)
        if self.trouble == "nan":
            logits = logits.masked_fill(is_troubled, torch.nan)
        if self.trouble == "inf":
            first = torch.arange(self.vocab_size, device=ids.device) == 0
            logits = logits.masked_fill(is_troubled & first, -torch.inf)
        if self.trouble == "steep":
            nothing = (0 * logits).sum().sqrt()  # 0, and infinitely steep
            logits = logits + torch.where(is_troubled, nothing, 0.0)
        if self.wants:
            logits = logits * (WISH_MET if self._is_used_as_wanted() else WISH_UNMET)
        return logits * 0.5 ** (self.training + self.head.training)

    def _is_used_as_wanted(self) -> bool:
        """Is the newest call one that `wants` describes: its rows, gradients, autocast?"""
        least, most = self.wants.get("rows", (0, math.inf))
        used = self.calls[-1]
        return least <= used["rows"] <= most and all(
            used[name] == wanted for name, wanted in self.wants.items() if name != "rows"
        )


class Small(nn.Module):
    """Sums of embeddings so far, mixed and bent: causal, and the past matters."""

    def __init__(self, vocab_size: int, width: int, *, seed: int, gain: float, spare: bool):
        super().__init__()
        self.token = nn.Embedding(vocab_size, width)
        self.mix = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))
        self.head = nn.Linear(width, vocab_size)
        if spare:
            self.spare = nn.Linear(width, width)  # takes no part, so no gradient reaches it
            self.mix.bias.requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                size = gain if name.startswith("head") else 0.5
                parameter.copy_(drawn * size + (1.0 if name == "scale" else 0.0))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mix(self.token(ids).cumsum(dim=1))) * self.scale)


class RecordedSmall(Recorded, Small):
    pass


class MisleadingNames(nn.Module):
    """Parameters whose names and owners say nothing about how many axes they have."""

    def __init__(self, *, tied: bool, twins: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.full((5,), 0.5))
        self.bias = nn.Parameter(torch.full((3, 5), 0.5))
        self.temperature = nn.Parameter(torch.tensor(0.5))
        tables = {"table": torch.full((3, 1), 0.5), "row": torch.full((1, 3), 0.5)}
        if twins:
            tables["twin"] = tables["table"].clone()  # equal, and still a parameter of its own
        self.norm = nn.ParameterDict({name: nn.Parameter(t) for name, t in tables.items()})
        self.body = nn.Sequential(nn.Conv1d(3, 5, 7), nn.LayerNorm((5, 3)), nn.LayerNorm(5))
        self.token = nn.Embedding(7, 5)
        self.head = nn.Linear(5, 7)
        if tied:
            self.head.weight = self.token.weight
            self.body[2].bias = self.weight


def build_model(spec: dict, dtype: torch.dtype) -> nn.Module:
    """The model that `spec` names, with the weights of its seed, in evaluation mode."""
    if spec["model"] == "gpt":
        recorded = type("RecordedGPT", (Recorded, lent("models").ReferenceGPT), {})
        model = recorded(ReferenceConfig(**spec["config"]), seed=spec["seed"])
        vocab_size = spec["config"]["vocab_size"]
    elif spec["model"] == "small":
        vocab_size = spec["vocab_size"]
        model = RecordedSmall(
            vocab_size, spec["width"], seed=spec["seed"], gain=spec["gain"], spare=spec["spare"]
        )
    else:
        model, vocab_size = MisleadingNames(tied=spec["tied"], twins=spec.get("twins", False)), 0
    model.trouble, model.vocab_size, model.calls = spec.get("trouble", ""), vocab_size, []
    model.wants = spec.get("wants")
    parameters = dict(model.named_parameters())
    for name in spec.get("frozen", ()):
        parameters[name].requires_grad_(False)
    return as_people_have_it(model, spec).to(dtype).eval()


def build_optimizer(spec: dict, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `spec` names, over the model's parameters, in one group or in two.

    A part of the model that it `leaves_out` is not for it to move.
    """
    left_out = spec.get("leaves_out")
    named = model.named_parameters()
    parameters = [p for name, p in named if not left_out or not name.startswith(left_out)]
    if spec.get("grouped"):
        matrices, others = ([p for p in parameters if (p.dim() >= 2) is m] for m in (True, False))
        parameters = [{"params": matrices}, {"params": others}]
    if spec["optimizer"] == "adamw":
        # With so large an eps small gradients count less: the step shows how they were scaled.
        return torch.optim.AdamW(parameters, lr=spec["lr"], betas=(0.8, 0.9), eps=0.1)
    momentum = 0.9 if spec["optimizer"] == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=spec["lr"], momentum=momentum)


def set_in_evaluation(model: nn.Module, parts: Collection[str]) -> None:
    """Put these parts into evaluation mode; the others stay in theirs."""
    for name, module in model.named_modules():
        module.training &= name not in parts


@torch.no_grad()
def logits_of_some(model: Recorded, inputs: Tensor) -> Tensor:
    """What a model says of the beginning of one text, in the mode in which it is."""
    return model(inputs[:1, :7].clamp(max=max(0, model.vocab_size - 2)))  # none that makes trouble


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers of each parameter, by name: `head.bias exp_avg`."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names.get(id(parameter), '?')} {key}": value
        for parameter, remembered in optimizer.state.items()
        for key, value in remembered.items()
        if isinstance(value, Tensor)
    }


def name_of_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
