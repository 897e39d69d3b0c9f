"""The models that are compared: ours step by step, ours fused, Hugging Face's; the same weights."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib.models import ModelError
from course_lib.models.bench.peers import GPT2_SMALL, Shape, make_pair
from course_lib.models.ours.fused import fuse
from course_lib.models.whose_model import OURS, Package
from course_lib.transformer.model import GPT, GPTConfig, load_gpt2

PACKAGE = Package(OURS)
TINY = Shape(vocab_size=257, context_length=64, d_model=24, n_heads=3, n_layers=2)
STEP_BY_STEP, FUSED, THEIRS = "ours, step by step", "ours, fused", "Hugging Face"


def shape_for(is_small: bool) -> Shape:
    return TINY if is_small else GPT2_SMALL


def config_of(shape: Shape, **more) -> GPTConfig:
    return GPTConfig(**vars(shape), gelu_approximate="tanh", **more)


@dataclass(frozen=True)
class Forms:
    """The models by name, in float32 on the CPU; and why one is missing."""

    models: dict[str, nn.Module]
    missing: str = ""

    def get(self, name: str) -> nn.Module:
        """A copy of one.

        Raises:
            ModelError: it is missing.
        """
        if name not in self.models:
            raise ModelError(self.missing)
        return copy.deepcopy(self.models[name])


def make_forms(shape: Shape) -> Forms:
    """All forms of one model; without transformers, ours alone."""
    try:
        fused, theirs = make_pair(shape, PACKAGE)
    except Exception as error:  # ModelError where it is missing; an old or broken one raises others
        torch.manual_seed(0)
        ours = GPT(config_of(shape)).eval()
        return Forms({STEP_BY_STEP: ours, FUSED: fuse(copy.deepcopy(ours))}, str(error))
    ours = load_gpt2(theirs.state_dict(), config_of(shape))
    return Forms({STEP_BY_STEP: ours, FUSED: fused, THEIRS: theirs})


class Logits(nn.Module):
    """Hugging Face's model as a function from ids to logits, as ours is one."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(input_ids=ids, use_cache=False).logits


def random_ids(shape: Shape, *sizes: int, seed: int = 0) -> Tensor:
    """The same ids on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(shape.vocab_size, sizes, generator=generator)
