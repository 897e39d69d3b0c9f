"""What a training run can be told, with its defaults: the one list behind flags and TOML files."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from course_lib.did_you_mean import did_you_mean

from . import ModelError
from .whose_model import ATTENTION

RULES = {  # which values a setting may have; `nan` is in no range
    "max_lr": (lambda value: 0 < value < math.inf, "above 0"),
    "min_lr": (lambda value: 0 <= value < math.inf, "at least 0"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "at least 0"),
    "beta2": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "max_grad_norm": (lambda value: value > 0, "above 0"),
    "seed": (lambda value: 0 <= value < 2**63, "at least 0 and below 2**63"),
}


def _setting(default, about: str, default_says: str | None = None):
    """A field with its default; what that comes to is said in words where it depends on others."""
    said = str(default) if default_says is None else default_says
    return field(default=default, metadata={"about": about, "default": said})


@dataclass(frozen=True)
class TrainSettings:
    """All settings of a run. Lengths are in tokens, rates per step."""

    text: str = _setting("stories", '"stories" (built in), "shakespeare", or a file in UTF-8')
    tokenizer: str = _setting("characters", '"characters", or "bpe:SIZE"')
    context_length: int = _setting(64, "tokens that the model sees at once")
    d_model: int = _setting(128, "width of the residual stream")
    n_heads: int = _setting(4, "attention heads in each block")
    n_layers: int = _setting(4, "blocks")
    dropout: float = _setting(0.0, "share of weights and outputs that becomes 0 in training")
    bias: bool = _setting(True, "whether linear layers and norms have a bias")
    tie_weights: bool = _setting(True, "whether the head is the token embedding")
    batch_size: int = _setting(32, "rows of one step, over all chunks and processes")
    n_chunks: int = _setting(1, "parts in which a batch goes through, to save memory")
    n_steps: int = _setting(1000, "optimizer steps")
    max_lr: float = _setting(3e-3, "learning rate after the warm-up")
    min_lr: float = _setting(3e-4, "learning rate at the end")
    warmup_steps: int = _setting(
        None, "steps until the learning rate is full", "50, or a tenth of n-steps if that is less"
    )
    weight_decay: float = _setting(0.1, "how strongly matrices shrink")
    beta2: float = _setting(0.99, "memory of AdamW's second moment")
    max_grad_norm: float = _setting(1.0, "longer gradients are shortened to this")
    save_every: int = _setting(250, "steps between checkpoints, each with a validation loss")
    seed: int = _setting(1, "of the first weights, the batches and dropout")
    device: str = _setting("auto", "such as cpu, cuda or mps; auto takes the fastest")
    dtype: str = _setting("auto", "float32 or bfloat16; auto takes bfloat16 where it is fast")
    compile: str = _setting("auto", "yes, no, or auto: on CUDA only")
    attention: str = _setting("fused", "our model's: fused to run, explicit as the lessons read")

    def __post_init__(self):
        if self.warmup_steps is None and type(self.n_steps) is int:
            object.__setattr__(self, "warmup_steps", max(0, min(50, self.n_steps // 10)))
        for about in fields(self):
            self._check_type(about)
        at_least_one = ("context_length", "d_model", "n_heads", "n_layers", "batch_size")
        for name in (*at_least_one, "n_chunks", "n_steps", "save_every"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} must be at least 1, got {name}={getattr(self, name)}.")
        if not 0 <= self.warmup_steps < self.n_steps:
            raise ModelError(
                f"warmup_steps must be at least 0 and below n_steps, got "
                f"warmup_steps={self.warmup_steps} and n_steps={self.n_steps}."
            )
        for name, (is_allowed, rule) in RULES.items():
            if not is_allowed(getattr(self, name)):
                raise ModelError(f"{name} must be {rule}, got {name}={getattr(self, name)!r}.")
        if self.batch_size % self.n_chunks:
            raise ModelError(
                f"n_chunks must divide batch_size, got n_chunks={self.n_chunks} "
                f"and batch_size={self.batch_size}."
            )
        if self.compile not in ("auto", "yes", "no"):
            raise ModelError(f"compile must be auto, yes or no, got compile={self.compile!r}.")
        if self.attention not in ATTENTION:
            raise ModelError(
                f"attention must be {' or '.join(ATTENTION)}, got attention={self.attention!r}."
            )

    def _check_type(self, about) -> None:
        value = getattr(self, about.name)
        if about.type is float and type(value) is int:
            object.__setattr__(self, about.name, float(value))
        elif type(value) is not about.type:
            raise ModelError(
                f"{about.name} must be of type {about.type.__name__}, got {about.name}={value!r}."
            )

    def model_sizes(self, vocab_size: int) -> dict:
        """The fields of a `GPTConfig`."""
        names = ("context_length", "d_model", "n_heads", "n_layers", "dropout", "bias")
        sizes = {name: getattr(self, name) for name in (*names, "tie_weights")}
        return {"vocab_size": vocab_size, **sizes}


SETTINGS = fields(TrainSettings)
NAMES = tuple(about.name for about in SETTINGS)
# What a run that is resumed may be told anew: it changes how long or where, not what is trained.
MAY_CHANGE = ("n_steps", "save_every", "device", "dtype", "compile", "attention")


def read_settings(config: Path | None, flags: Mapping) -> TrainSettings:
    """The defaults, overridden by a TOML file, overridden by flags.

    Raises:
        ModelError: the file cannot be read, or names something unknown.
    """
    given = {**(_read_toml(config) if config else {}), **flags}
    return TrainSettings(**given)


def resumed_settings(saved: Mapping, flags: Mapping) -> TrainSettings:
    """The settings a run was started with, and what may be changed on the way.

    Raises:
        ModelError: a flag would make it another run.
    """
    changed = {name: value for name, value in flags.items() if saved.get(name) != value}
    refused = sorted(set(changed) - set(MAY_CHANGE))
    if refused:
        raise ModelError(
            f"--resume goes on with the run as it was started, got another {', '.join(refused)}: "
            "leave it out, or start anew in another folder."
        )
    return TrainSettings(**{**saved, **changed})


def _read_toml(path: Path) -> dict:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path} must be TOML: {error}.") from None
    for name in found:
        if name not in NAMES:
            advice = did_you_mean(name, NAMES)
            raise ModelError(f"{path} sets {name!r}, which is no setting. {advice}")
    return found
