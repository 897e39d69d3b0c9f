"""What a whole transformer must do, computed by torch's own functions: the judge's side.

`ReferenceGPT` has the names and shapes of the lessons, so weights that were trained anywhere can be
loaded into it and evaluated here.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from ..observe.given.config import ReferenceConfig
from ..observe.lent.models import ReferenceGPT
from ..observe.probes.whole import WEIGHT_DECAY


def drawn_weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    """Weights of a model with this config, in float64."""
    model = ReferenceGPT(ReferenceConfig(**config), seed=seed).double()
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def lively_weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    """The same, but what blocks write outweighs the token itself, so that greedy text goes on
    varying: with a tied head, a model of small blocks soon repeats one token for ever."""
    weights = drawn_weights(config, seed)
    for name, array in weights.items():
        if name.endswith(("attention.out.weight", "mlp.down.weight")):
            array *= 4.0
    return weights


def fresh_weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    """Weights as training starts from them, in float64: small, biases 0, norms 1 and 0."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, array in drawn_weights(config, 0).items():
        if array.ndim > 1:
            weights[name] = random.normal(scale=0.02, size=array.shape)
        else:
            weights[name] = np.full(array.shape, 0.0 if name.endswith("bias") else 1.0)
    if config.get("tie_weights", True):
        weights["head.weight"] = weights["embeddings.token.weight"]
    return weights


def model_of(config: dict, weights: dict[str, np.ndarray]) -> ReferenceGPT:
    """The reference with these weights, in float64 and evaluation mode.

    Raises:
        ValueError: they are not the weights of such a model.
    """
    model = ReferenceGPT(ReferenceConfig(**config), seed=0).double().eval()
    own = model.state_dict()
    if weights.keys() != own.keys():
        raise ValueError("the names are not those of the model")
    for name, tensor in own.items():
        if weights[name] is None or weights[name].shape != tuple(tensor.shape):
            raise ValueError(f"{name} has another shape")
        tensor.copy_(torch.from_numpy(np.asarray(weights[name], dtype=np.float64)))
    return model


@torch.no_grad()
def logits_of(model: ReferenceGPT, ids: np.ndarray) -> np.ndarray:
    """The reference's logits of `ids` (B, T)."""
    return model(torch.from_numpy(ids.astype(np.int64))).numpy()


def gradients_of(model: ReferenceGPT, ids: np.ndarray, cotangent: np.ndarray) -> dict:
    """Gradients of sum(logits * cotangent) by parameter name; a tied head goes by its first."""
    logits = model(torch.from_numpy(ids.astype(np.int64)))
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(
        (logits * torch.from_numpy(cotangent)).sum(), list(parameters.values())
    )
    return {name: g.numpy() for name, g in zip(parameters, found, strict=True)}


def counts_of(model: ReferenceGPT) -> list[int]:
    """How many numbers are learned: all, and without those of the embeddings and a tied head."""
    everything = {id(p): p for p in model.parameters()}
    embeddings = {id(p): p for p in model.embeddings.parameters()}
    n_all = sum(p.numel() for p in everything.values())
    return [n_all, n_all - sum(p.numel() for p in embeddings.values())]


def losses_of(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """-log p(target) at every position: `targets`' shape."""
    flat = torch.from_numpy(logits.reshape(-1, logits.shape[-1]).astype(np.float64))
    wanted = torch.from_numpy(targets.reshape(-1).astype(np.int64))
    return F.cross_entropy(flat, wanted, reduction="none").numpy().reshape(targets.shape)


def loss_on_text(model: ReferenceGPT, ids: np.ndarray, context_length: int) -> float:
    """Mean loss over consecutive windows of a text, every token once but the first."""
    total, starts = 0.0, range(0, len(ids) - 1, context_length)
    for start in starts:
        window = ids[start : start + context_length + 1]
        logits = logits_of(model, window[None, :-1])
        total += losses_of(logits[0], window[1:]).sum()
    return float(total / (len(ids) - 1))


def schedule(step: int, *, max_lr, min_lr, warmup_steps, total_steps) -> float:
    """Linear warm-up, then half a cosine, then `min_lr`."""
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * done))


def after_steps(config, weights, batches, plan: dict, max_grad_norm: float, eps: float):
    """Losses and weights after one step a batch, of AdamW on the reference in float64."""
    model = model_of(config, weights).train()
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, eps=eps)
    losses = []
    for step, batch in enumerate(batches):
        inputs, targets = (torch.from_numpy(part.astype(np.int64)) for part in batch)
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, **plan)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        norm = torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt()
        for parameter in parameters:
            parameter.grad.mul_(min(1.0, max_grad_norm / (float(norm) + 1e-6)))
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), {name: t.numpy().copy() for name, t in model.state_dict().items()}


def greedy(model: ReferenceGPT, ids: np.ndarray, n_new: int) -> tuple[np.ndarray, np.ndarray]:
    """`ids` with the likeliest tokens behind them, and by how much each one won, (B, n_new)."""
    leads = []
    for _ in range(n_new):
        logits = logits_of(model, ids[:, -model.config.context_length :])[:, -1]
        best = np.sort(logits, axis=-1)
        leads.append(best[:, -1] - best[:, -2])
        ids = np.concatenate([ids, logits.argmax(axis=-1)[:, None]], axis=1)
    return ids, np.stack(leads, axis=1) if leads else np.zeros((len(ids), 0))
