"""Observe `evaluate`: what it returns, and in which state it leaves the model."""

import math

import torch

from ..calls import EvaluationCall
from ..given.trained import build_model, set_in_evaluation
from ..observations import Observation, blank
from .record import tensor_of
from .training import (
    array_of,
    came_back,
    dtype_of,
    modes_of,
    parts_in_training,
    watching_devices,
)


def observe_evaluation(component, call: EvaluationCall, seen: Observation) -> None:
    """One call of `evaluate`, on a model whose parameters hold a gradient already."""
    model = build_model(call["model"], dtype_of(call)).to(call["device"]).train(call["training"])
    set_in_evaluation(model, call["in_evaluation"])
    for parameter in model.parameters():
        parameter.grad = old_gradient(parameter)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    tokens, given = (tensor_of(call["tokens"], call) for _ in range(2))
    torch.set_grad_enabled(call["gradients"])
    try:
        with watching_devices(call, seen):
            back = came_back(lambda: component(model, given, **call["kwargs"]))
        if len(tokens) < 2 and back["error"] and back["error"]["type"] != "NotImplementedError":
            back = came_back(lambda: math.nan)  # no mean of nothing: which error says so is open
        seen["steps"] = [back, _left_after_evaluation(model, weights, tokens, given, call)]
    finally:
        torch.set_grad_enabled(True)


def old_gradient(parameter: torch.Tensor) -> torch.Tensor:
    """A gradient that was there before: the weights themselves, a row further on."""
    return parameter.detach().roll(1, dims=0)


def _left_after_evaluation(model, weights, tokens, given, call) -> dict:
    rows = max((call["rows"] for call in model.calls), default=0)
    modes, gradients = modes_of(model.calls), {call["gradients"] for call in model.calls}
    looked = came_back(lambda: model(tensor_of(call["after"], call)))
    in_training = parts_in_training(model)
    return blank() | {
        "outputs": looked["outputs"],
        "gradients": {
            name: None if p.grad is None else array_of(p.grad)
            for name, p in model.named_parameters()
        },
        "arguments": [None, array_of(given)],
        "changed": [] if torch.equal(tokens, given) else [1],
        # Without a target: whoever looks at the tokens first differs here, and in nothing else.
        "in_training_without_targets": in_training if len(tokens) < 2 else [],
        "value": {
            "modes_during": modes,
            "in_training_after": in_training if len(tokens) >= 2 else [],
            "gradients_during": sorted(gradients),
            "gradients_after": torch.is_grad_enabled(),
            "too_many_rows": rows > call["kwargs"].get("batch_size", 8),
            "gradients_kept": all(
                p.grad is not None and torch.equal(p.grad, old_gradient(p))
                for p in model.parameters()
            ),
            "weights_kept": all(torch.equal(p, weights[n]) for n, p in model.named_parameters()),
            "frozen_after": sorted(n for n, p in model.named_parameters() if not p.requires_grad),
        },
    }
