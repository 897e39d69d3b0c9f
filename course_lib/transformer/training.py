"""Lesson 8: training, from the loss of one batch to the step that lowers it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .shapes import Float, Int


def next_token_loss(
    logits: Float[Tensor, "B T V"],
    targets: Int[Tensor, "B T"],
    ignore_index: int = -100,
) -> Float[Tensor, ""]:
    """How surprised the model is by the targets, on average: the mean of
    -log p(target).

    Computed and returned in float32 or wider. `targets` are shifted
    already: position t holds what comes after token t. A token whose logit
    is -inf cannot come, and where it is no target it changes nothing.

    Args:
        ignore_index: targets of this value do not count; nan when none is
            left.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(
        wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    )


def get_batch(
    tokens: Int[Tensor, " N"],
    batch_size: int,
    context_length: int,
    *,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """`(inputs, targets)`: pieces of the text, and the same pieces one
    token further on.

    Each row starts at a place of its own, drawn by `generator` (on the CPU)
    alone from all from which `context_length` tokens and their targets can
    be read, the last one included, all of them equally likely. Both tensors
    are on the device of `tokens`.

    Raises:
        ValueError: the text is too short for one row.
    """
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(
            "tokens must hold at least context_length "
            f"+ 1 = {context_length + 1} tokens, "
            f"got {len(tokens)}."
        )
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    # (B, T)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


def learning_rate(
    step: int,
    *,
    max_lr: float,
    min_lr: float,
    warmup_steps: int,
    total_steps: int,
) -> float:
    """The learning rate of one step: a line up to `max_lr`, then half a
    cosine down to `min_lr`.

    `max_lr` is reached at step `warmup_steps`, `min_lr` at `total_steps`;
    it stays there. The line is max_lr · (step + 1) / (warmup_steps + 1).
    `warmup_steps` is 0 or more, and less than `total_steps`.

    Write it from a line and a cosine: `torch.optim.lr_scheduler` is what
    you are building.

    Source: Loshchilov and Hutter, "SGDR" (2017), equation 5, without
        restarts.
    """
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """The parameters in two groups for the optimizer: those that shrink,
    and those that do not.

    Those with two or more axes shrink: matrices and embeddings. Those with
    fewer do not: biases and the scales of norms. Frozen parameters are left
    out, shared ones stand once.

    Returns:
        A dict for each group, with its `params` and its `weight_decay`: 0.0
        for those that do not shrink.
    """
    trained = [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad
    ]
    return [
        {
            "params": [p for p in trained if p.dim() >= 2],
            "weight_decay": weight_decay,
        },
        {
            "params": [p for p in trained if p.dim() < 2],
            "weight_decay": 0.0,
        },
    ]


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Int[Tensor, "B T"],
    targets: Int[Tensor, "B T"],
    *,
    max_grad_norm: float = 1.0,
    n_chunks: int = 1,
    autocast_dtype: torch.dtype | None = None,
) -> float:
    """The loss on one batch, and one step of the optimizer against it.

    The loss is the mean over the targets that are not -100, before the
    step. Gradients of earlier calls do not count, and the model stays
    in the mode it is in. Parameters that no gradient reaches stay as they
    are, and the optimizer keeps its settings.

    Args:
        max_grad_norm: gradients longer than this, all parameters together,
            are shortened to it; with 0 nothing is left of them.
        n_chunks: the batch goes through in so many equal parts, for the
            same step in less memory.
        autocast_dtype: bfloat16 for mixed precision, or None; the weights
            keep their dtype.

    Raises:
        FloatingPointError: the loss or the gradient is not finite; weights
            and optimizer are as they were.

    Source for clipping: Pascanu et al., "On the difficulty of training
        recurrent neural networks" (2013), section 3.2.
    """
    # of the model: an optimizer may hold some of its parameters only
    model.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for some_inputs, some_targets in zip(
        inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True
    ):
        n_here = int((some_targets != -100).sum())
        if n_here == 0:
            continue  # the mean of nothing is nan
        with torch.autocast(
            inputs.device.type,
            autocast_dtype,
            enabled=autocast_dtype is not None,
        ):
            logits = model(some_inputs)
        loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
        loss.backward()
        total += loss.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    if not (math.isfinite(total) and norm.isfinite()):
        raise FloatingPointError(
            "the loss and its gradient must be finite, "
            f"got a loss of {total} "
            f"and a gradient of norm {norm.item()}."
        )
    optimizer.step()
    return total


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and without gradients; afterwards every
    part as it was.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def evaluate(
    model: nn.Module,
    tokens: Int[Tensor, " N"],
    *,
    context_length: int,
    batch_size: int = 8,
) -> float:
    """The mean loss over a whole text, cut into windows that follow each
    other.

    Every token but the first is a target once. The model is in evaluation
    mode and without gradients meanwhile, and afterwards each part is in the
    mode it was in, also after an error. Its weights and their `.grad` stay
    as they are.

    Args:
        batch_size: so many windows go through the model at once.

    Raises:
        ValueError: fewer than two tokens.
    """
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(
            f"tokens must hold at least 2 tokens, got {len(tokens)}."
        )
    # fills the last window; as targets, ignored
    padding = (0, -n_targets % context_length)
    inputs = F.pad(tokens[:-1], padding).view(-1, context_length)
    targets = F.pad(tokens[1:], padding, value=-100).view(
        -1, context_length
    )
    total = 0.0
    with _evaluating(model):
        for some_inputs, some_targets in zip(
            inputs.split(batch_size), targets.split(batch_size), strict=True
        ):
            loss = next_token_loss(model(some_inputs), some_targets)
            total += loss.item() * int((some_targets != -100).sum())
    return total / n_targets
