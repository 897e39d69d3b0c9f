"""What training must do, with torch's losses and optimizers in float64. Nothing is the course's."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..observe.given.trained import (
    WISH_MET,
    build_optimizer,
    logits_of_some,
    set_in_evaluation,
    state_of,
)
from ..observe.given.trained import build_model as build_as_observed

IGNORED = -100


def build_model(spec: dict, dtype) -> torch.nn.Module:
    """The model of a spec, for whom its use here is always as it wants it."""
    model = build_as_observed(spec | {"wants": None}, dtype)
    if spec.get("wants"):
        model.register_forward_hook(lambda model, ids, logits: logits * WISH_MET)
    return model


def logits_afterwards(
    spec: dict, ids, *, training: bool, in_evaluation=(), gradients: bool
) -> np.ndarray:
    """The logits of a model that was left in this mode, where gradients are on or off.

    Args:
        in_evaluation: parts that are in evaluation all the same.
    """
    model = build_as_observed(spec, torch.float64).train(training)
    set_in_evaluation(model, in_evaluation)
    with torch.set_grad_enabled(gradients):
        return model(torch.from_numpy(ids)).detach().numpy()


def next_token_loss(logits, targets, ignore_index: int = IGNORED) -> np.ndarray:
    """The mean cross-entropy over the targets that are not ignored."""
    return _loss(torch.from_numpy(logits), torch.from_numpy(targets), ignore_index).numpy()


def next_token_loss_gradient(logits, targets, ignore_index: int = IGNORED) -> np.ndarray:
    """Its gradient with respect to the logits."""
    tensor = torch.from_numpy(logits).requires_grad_()
    loss = _loss(tensor, torch.from_numpy(targets), ignore_index)
    return torch.autograd.grad(loss, tensor)[0].numpy()


@dataclass(frozen=True)
class Step:
    """What one step must return, and leave behind: weights, and optimizer state, by name."""

    loss: float
    not_finite: str  # the loss, the gradient, or nothing
    left: dict[str, np.ndarray]
    logits: np.ndarray  # of a few of its inputs, by the model as the step has left it


def take_steps(model_spec, optimizer_spec, batches, *, dtype: str, training: bool) -> list[Step]:
    """Steps by hand; one whose loss or gradient is not finite changes nothing."""
    model = build_model(model_spec, getattr(torch, dtype)).double().train(training)
    optimizer = build_optimizer(optimizer_spec, model)
    return [_step(model, optimizer, **batch) for batch in batches]


def _step(model, optimizer, inputs, targets, kwargs) -> Step:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = _loss(_logits(model, inputs, kwargs), torch.from_numpy(targets))
    not_finite = "" if math.isfinite(loss.item()) else "loss"
    if not not_finite:
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        norm = math.sqrt(sum(g.square().sum().item() for g in gradients if g is not None))
        not_finite = "" if math.isfinite(norm) else "gradient"
    if not not_finite:
        factor = min(1.0, kwargs.get("max_grad_norm", 1.0) / norm) if norm else 1.0
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient * factor
        optimizer.step()
    left = dict(model.named_parameters()) | state_of(model, optimizer)
    copies = {name: tensor.detach().double().numpy().copy() for name, tensor in left.items()}
    afterwards = logits_of_some(model, torch.from_numpy(inputs)).numpy()
    return Step(loss.item(), not_finite, copies, afterwards)


def _logits(model, inputs, kwargs):
    if "autocast_dtype" not in kwargs:
        return model(torch.from_numpy(inputs))
    single = {name: p.float() for name, p in model.named_parameters()}
    with torch.autocast("cpu", getattr(torch, kwargs["autocast_dtype"])):
        return torch.func.functional_call(model, single, (torch.from_numpy(inputs),))


def evaluate(model_spec, tokens, context_length: int, *, dtype: str) -> float:
    """The mean loss over the text, window after window, token by token."""
    model = build_model(model_spec, getattr(torch, dtype)).double()
    text = torch.from_numpy(tokens)
    losses = []
    with torch.no_grad():
        for start in range(0, len(text) - 1, context_length):
            window = text[start : start + context_length + 1]
            logits = model(window[None, :-1])[0]
            losses += F.cross_entropy(logits, window[1:], reduction="none").tolist()
    return math.fsum(losses) / len(losses)


def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps) -> float:
    """Both parts by NumPy's interpolation: along a line, and along the angle of the cosine."""
    if step < warmup_steps:
        return float(np.interp(step, [-1, warmup_steps], [0.0, max_lr]))
    angle = np.interp(step, [warmup_steps, total_steps], [0.0, np.pi])
    return float(min_lr + (max_lr - min_lr) * np.cos(angle / 2) ** 2)


def _loss(logits, targets, ignore_index: int = IGNORED):
    wide = logits.double().flatten(0, 1)
    return F.cross_entropy(wide, targets.flatten(), ignore_index=ignore_index)
