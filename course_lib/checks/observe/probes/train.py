"""Observe training: batches from a text, groups of parameters, steps, and a loss over a text.

Models and optimizers are fixtures, built from a seed on either side. What a call leaves behind
counts as much as what it returns, so each call gives two observations in `steps`: what came back,
and then what is left.

    call         model, optimizer               specs of `build_model` and `build_optimizer`
                 training, asleep               the model's mode, and parts that are in evaluation
                 gradients                      are they on when `evaluate` is called?
                 stale                          gradients of an earlier backward are still there
                 batches                        one `train_step` each: inputs, targets, kwargs
                 tokens, kwargs                 of `get_batch` and `evaluate`
                 sliced                         tokens are every second number of a tensor
                 weight_decay                   of `decay_groups`
    observation  steps                          what came back and what is left, call by call
                 value, left                    facts as JSON; weights and optimizer state by name
                 drawn                          raw batches
"""

import math
import random
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from ..given.models import ReferenceConfig, ReferenceGPT
from ..load.answer import describe_error
from ..watches.devices import DeviceWatch

# --- models and optimizers -------------------------------------------------------------------


class Recorded:
    """A model that writes down how it is called, and answers otherwise in training.

    The model and its head each halve the logits while they are in training: what dropout does,
    without chance.
    A row that holds the last token of the vocabulary is `trouble`: its logits are nan ("nan"), or
    token 0 becomes impossible in it ("inf"), or the call fails ("raise").
    """

    trouble = ""

    def forward(self, ids: Tensor) -> Tensor:
        kind = ids.device.type
        is_on = torch.is_autocast_enabled(kind)
        self.calls.append(
            {
                "rows": len(ids),
                "training": {self.training, self.head.training},
                "gradients": torch.is_grad_enabled(),
                "autocast": _name(torch.get_autocast_dtype(kind)) if is_on else "none",
            }
        )
        struck = (ids == self.vocab_size - 1).any(dim=1)[:, None, None]
        if self.trouble == "raise" and struck.any():
            raise RuntimeError("the model cannot read this token")
        logits = super().forward(ids)
        if self.trouble == "nan":
            logits = logits.masked_fill(struck, torch.nan)
        if self.trouble == "inf":
            first = torch.arange(self.vocab_size, device=ids.device) == 0
            logits = logits.masked_fill(struck & first, -torch.inf)
        return logits * 0.5 ** (self.training + self.head.training)


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


class RecordedGPT(Recorded, ReferenceGPT):
    pass


class Oddments(nn.Module):
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
        model = RecordedGPT(ReferenceConfig(**spec["config"]), seed=spec["seed"])
        vocab_size = spec["config"]["vocab_size"]
    elif spec["model"] == "small":
        vocab_size = spec["vocab_size"]
        model = RecordedSmall(
            vocab_size, spec["width"], seed=spec["seed"], gain=spec["gain"], spare=spec["spare"]
        )
    else:
        model, vocab_size = Oddments(tied=spec["tied"], twins=spec.get("twins", False)), 0
    model.trouble, model.vocab_size, model.calls = spec.get("trouble", ""), vocab_size, []
    parameters = dict(model.named_parameters())
    for name in spec.get("frozen", ()):
        parameters[name].requires_grad_(False)
    return model.to(dtype).eval()


def build_optimizer(spec: dict, parameters) -> torch.optim.Optimizer:
    """The optimizer that `spec` names, over all of these parameters, in one group or in two."""
    parameters = list(parameters)
    if spec.get("grouped"):
        matrices, others = ([p for p in parameters if (p.dim() >= 2) is m] for m in (True, False))
        parameters = [{"params": matrices}, {"params": others}]
    if spec["optimizer"] == "adamw":
        # With so large an eps small gradients count less: the step shows how they were scaled.
        return torch.optim.AdamW(parameters, lr=spec["lr"], betas=(0.8, 0.9), eps=0.1)
    momentum = 0.9 if spec["optimizer"] == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=spec["lr"], momentum=momentum)


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers of each parameter, by name: `head.bias exp_avg`."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names.get(id(parameter), '?')} {key}": value
        for parameter, remembered in optimizer.state.items()
        for key, value in remembered.items()
        if isinstance(value, Tensor)
    }


# --- train_step ------------------------------------------------------------------------------


def observe_steps(component, call, seen) -> None:
    """Steps of one model and optimizer, one after the other, with `component` as `train_step`."""
    model = build_model(call["model"], _dtype(call)).to(call["device"]).train(call["training"])
    for name, module in model.named_modules():
        module.training &= name not in call["asleep"]
    optimizer = build_optimizer(call["optimizer"], model.parameters())
    if call["stale"]:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.75) if parameter.requires_grad else None
    seen["steps"] = []
    with _watching(call, seen):
        for batch in call["batches"]:
            seen["steps"] += _one_step(component, model, optimizer, batch, call)


def _one_step(component, model, optimizer, batch, call) -> list[dict]:
    model.calls.clear()
    given = [_ids(batch[name], call) for name in ("inputs", "targets")]
    kwargs = dict(batch["kwargs"])
    if "autocast_dtype" in kwargs:
        kwargs["autocast_dtype"] = getattr(torch, kwargs["autocast_dtype"])
    copies = [ids.clone() for ids in given]
    back = _came_back(lambda: component(model, optimizer, *copies, **kwargs))
    left = _left_after_step(model, optimizer, batch, kwargs)
    left["changed"] = [n for n, ids in enumerate(given) if not torch.equal(ids, copies[n])]
    return [back, left]


def _left_after_step(model, optimizer, batch, kwargs) -> dict:
    left = dict(model.named_parameters()) | state_of(model, optimizer)
    return _blank() | {
        "value": {
            **_how_it_ran(model, batch, kwargs),
            "in_training_after": _in_training(model),
            "lr": [float(group["lr"]) for group in optimizer.param_groups],
            "dtypes": sorted({_name(p.dtype) for p in model.parameters()}),
        },
        "left": {name: _array(tensor) for name, tensor in left.items()},
    }


def _how_it_ran(model, batch, kwargs) -> dict:
    """What the model saw of its calls; nothing for a batch without targets, which needs none."""
    if (batch["targets"] == -100).all():
        return {}
    rows = max((call["rows"] for call in model.calls), default=0)
    asked = -(-len(batch["inputs"]) // kwargs.get("n_chunks", 1))
    return {
        "modes_during": _modes_of(model.calls),
        "autocast": sorted({call["autocast"] for call in model.calls}),
        "rows": "as asked" if rows == asked else "more" if rows > asked else "fewer",
    }


def _modes_of(calls) -> list[bool]:
    """In which modes the model and its head were."""
    return sorted(set().union(*(call["training"] for call in calls)))


# --- evaluate --------------------------------------------------------------------------------


def observe_evaluation(component, call, seen) -> None:
    """One call of `evaluate`, on a model whose parameters hold a gradient already."""
    model = build_model(call["model"], _dtype(call)).to(call["device"]).train(call["training"])
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.75)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    tokens = _ids(call["tokens"], call)
    given = tokens.clone()
    torch.set_grad_enabled(call["gradients"])
    try:
        with _watching(call, seen):
            back = _came_back(lambda: component(model, given, **call["kwargs"]))
        if len(tokens) < 2 and back["error"] and back["error"]["type"] != "NotImplementedError":
            back = _came_back(lambda: math.nan)  # no mean of nothing: which error says so is open
        seen["steps"] = [back, _left_after_evaluation(model, weights, tokens, given, call)]
    finally:
        torch.set_grad_enabled(True)


def _left_after_evaluation(model, weights, tokens, given, call) -> dict:
    rows = max((call["rows"] for call in model.calls), default=0)
    awake = _in_training(model)
    return _blank() | {
        "changed": [] if torch.equal(tokens, given) else [1],
        # Without a target: whoever looks at the tokens first differs here, and in nothing else.
        "awake_without_targets": awake if len(tokens) < 2 else [],
        "value": {
            "modes_during": _modes_of(model.calls),
            "in_training_after": awake if len(tokens) >= 2 else [],
            "gradients_during": sorted({call["gradients"] for call in model.calls}),
            "gradients_after": torch.is_grad_enabled(),
            "too_many_rows": rows > call["kwargs"].get("batch_size", 8),
            "gradients_kept": all(
                p.grad is not None and bool((p.grad == 0.75).all()) for p in model.parameters()
            ),
            "weights_kept": all(torch.equal(p, weights[n]) for n, p in model.named_parameters()),
            "frozen_after": sorted(n for n, p in model.named_parameters() if not p.requires_grad),
        },
    }


# --- get_batch -------------------------------------------------------------------------------


def observe_batches(component, call, seen) -> None:
    """Many batches with one generator, and the first few again with another of the same seed.

    The global sources of chance stand elsewhere the second time, and must not have moved.
    """
    before = _chance()
    try:
        tokens = _ids(call["tokens"], call)
        given = torch.stack([tokens, tokens + 1], dim=1)[:, 0] if call["sliced"] else tokens.clone()
        with _watching(call, seen) as watch:
            batches, moved = _draw_batches(component, given, call, call["n_calls"], 1)
            seen["homeless_outputs"] = [
                n for batch in batches for n, part in enumerate(batch) if _homeless(watch, part)
            ][:4]
        again, moved_again = _draw_batches(component, given, call, min(3, call["n_calls"]), 2)
    finally:
        _set_chance(before)
    seen["changed"] = [] if torch.equal(tokens, given) else [0]
    seen["drawn"] = {
        f"{which} {part}": _stacked([batch[n] for batch in drawn if len(batch) == 2])
        for which, drawn in (("batches", batches), ("again", again))
        for n, part in enumerate(("inputs", "targets"))
    }
    seen["value"] = {
        "kinds": sorted({_kind(batch) for batch in [*batches, *again]}),
        "moved": sorted({*moved, *moved_again}),
    }
    seen["value"]["facts"] = facts_of_batches(seen["drawn"], call)


def _draw_batches(component, tokens, call, n_calls, number) -> tuple[list, list[str]]:
    _seed_chance(number)
    before = _chance()
    generator = torch.Generator().manual_seed(call["seed"])
    batches = []
    for _ in range(n_calls):
        result = component(tokens, call["batch_size"], call["context_length"], generator=generator)
        batches.append(tuple(result) if isinstance(result, (tuple, list)) else (result,))
    return batches, [name for name, state in _chance().items() if not _same(state, before[name])]


def _kind(batch) -> str:
    """What one call returned: `(int64 4×3, int64 4×3)`."""
    parts = [
        f"{_name(part.dtype)} {'×'.join(map(str, part.shape))}"
        if isinstance(part, Tensor)
        else type(part).__name__
        for part in batch[:4]
    ]
    return f"({', '.join(parts)})"


def _stacked(parts: list):
    """The same part of every batch in one array; None where they do not fit together."""
    fits = parts and all(isinstance(p, Tensor) and p.shape == parts[0].shape for p in parts)
    return _array(torch.stack(parts)) if fits and parts[0].numel() < 10_000 else None


def facts_of_batches(drawn: dict, call: dict) -> dict:
    """What batches of a counting text (`tokens[n] = tokens[0] + n`) say about their starts.

    Chance decides none of it, so two ways to draw rightly, or wrongly, have the same facts.
    """
    inputs, targets = drawn["batches inputs"], drawn["batches targets"]
    if inputs is None or targets is None or inputs.ndim != 3 or inputs.shape != targets.shape:
        return {}
    starts = inputs[:, :, 0].astype(np.int64) - int(call["tokens"][0])
    n_starts = len(call["tokens"]) - call["context_length"]
    again = [drawn["again inputs"], drawn["again targets"]]
    facts = {
        "along a row": _some(np.diff(inputs, axis=2)),
        "from input to target": _some(targets - inputs),
        "all starts are valid": bool(starts.min() >= 0 and starts.max() < n_starts),
        "the same with the same seed": all(
            part is not None and np.array_equal(part, whole[: len(part)])
            for part, whole in zip(again, (inputs, targets), strict=True)
        ),
    }
    if starts.size >= 10:
        facts["all starts are 0"] = not starts.any()
        facts["all starts are multiples"] = not (starts % call["context_length"]).any()
    if starts.size < 1000 or not facts["all starts are valid"]:
        return facts  # too few for what holds of many draws
    shares = np.bincount(starts.ravel(), minlength=n_starts) / starts.size * n_starts
    pairs = np.zeros((n_starts, n_starts))
    np.add.at(pairs, (starts[:, :-1].ravel(), starts[:, 1:].ravel()), 1)
    pairs *= n_starts**2 / pairs.sum()
    return facts | {
        "a batch comes again": any(map(np.array_equal, starts[:-1], starts[1:])),
        "starts": _some(starts),
        "rare": [int(n) for n in np.flatnonzero(shares < 0.8)],
        "frequent": [int(n) for n in np.flatnonzero(shares > 1.125)],
        "neighbours alike": bool((starts[:, :-1] == starts[:, 1:]).all()),
        "neighbours in turn": bool(((starts[:, 1:] - starts[:, :-1]) % n_starts == 1).all()),
        "neighbours sorted": bool((starts[:, 1:] >= starts[:, :-1]).all()),
        "neighbours related": bool((np.abs(pairs - 1) > 0.6).any()),
        "rows related": _related(starts),
        "rows too even": _too_even(starts, n_starts),
    }


def _too_even(starts: np.ndarray, n_starts: int) -> bool:
    """Do the rows of a batch share the starts among them, as independent ones do not?

    How often a start occurs in a batch then varies less than chance makes it vary.
    """
    n_rows = starts.shape[1]
    counts = np.stack([np.bincount(batch, minlength=n_starts) for batch in starts])
    return bool(counts.var(axis=0).mean() < 0.5 * n_rows * (n_starts - 1) / n_starts**2)


def _related(starts: np.ndarray) -> bool:
    """Is there a row whose start follows from another row's, call after call?"""
    centred = starts - starts.mean(axis=0)
    sizes = np.sqrt((centred**2).sum(axis=0))
    together = np.abs(centred.T @ centred) / np.maximum(np.outer(sizes, sizes), 1e-9)
    return bool((together - np.eye(len(together)) > 0.8).any())


def _some(numbers: np.ndarray) -> list[int]:
    """Which numbers occur, the first few of them."""
    return [int(n) for n in np.unique(numbers)[:12]]


def _chance() -> dict:
    return {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "random": random.getstate(),
    }


def _set_chance(states: dict) -> None:
    torch.set_rng_state(states["torch"])
    np.random.set_state(states["numpy"])
    random.setstate(states["random"])


def _seed_chance(number: int) -> None:
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def _same(one, other) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return all(map(np.array_equal, one, other))


# --- decay_groups ----------------------------------------------------------------------------


def observe_groups(component, call, seen) -> None:
    """The groups of a model's parameters, as names."""
    model = build_model(call["model"], _dtype(call)).to(call["device"]).train()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    before = {name: (p.detach().clone(), p.requires_grad) for name, p in model.named_parameters()}
    groups = component(model, call["weight_decay"])
    seen["value"] = {
        "structure": type(groups).__name__,
        "groups": sorted(
            (_group(group, names) for group in groups) if isinstance(groups, (list, tuple)) else [],
            key=str,
        ),
        "model_kept": [
            bool(torch.equal(p, before[n][0])) and p.requires_grad == before[n][1]
            for n, p in model.named_parameters()
        ]
        + [module.training for module in model.modules()],
    }


def _group(group, names: dict[int, str]) -> dict:
    if not isinstance(group, dict):
        return {"type": type(group).__name__}
    decay, members = group.get("weight_decay"), group.get("params")
    if isinstance(members, Tensor):
        members = [members]
    is_ordered = hasattr(members, "__iter__") and not isinstance(members, (set, dict, str))
    return {
        "type": "dict",
        "weight_decay": float(decay) if isinstance(decay, (int, float)) else type(decay).__name__,
        "params": sorted(_member(member, names) for member in members) if is_ordered else None,
    }


def _member(member, names) -> str:
    if isinstance(member, tuple) and len(member) == 2:  # torch takes (name, parameter), too
        member = member[1]
    is_parameter = isinstance(member, nn.Parameter)
    kind = "a parameter that is not the model's own" if is_parameter else type(member).__name__
    return names.get(id(member), f"not there: {kind}")


# --- what they share -------------------------------------------------------------------------


def _came_back(call) -> dict:
    """What a call returned, or the error it raised."""
    seen = _blank()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
        seen["structure"] = type(result).__name__
        seen["n_parts"] = 1
        seen["outputs"] = [_number(result)]
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen


def _blank() -> dict:
    return {"error": None, "outputs": [], "structure": "", "changed": [], "value": None}


def _number(value) -> dict:
    if isinstance(value, Tensor):
        array = _array(value) if value.numel() <= 100 else None
        return {"kind": "tensor", "array": array, "dtype": _name(value.dtype)}
    if isinstance(value, (int, float)):
        return {"kind": "number", "array": np.array(float(value)), "dtype": type(value).__name__}
    return {"kind": "other", "array": None, "dtype": type(value).__name__}


def _in_training(model) -> list[str]:
    return sorted(name for name, module in model.named_modules() if module.training)


def _dtype(call) -> torch.dtype:
    return getattr(torch, call["dtype"])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _ids(array: np.ndarray, call) -> Tensor:
    return torch.from_numpy(array.copy()).to(call["device"])


def _array(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor as an array; bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()


def _watching(call, seen):
    if not call.get("watch_devices"):
        return nullcontext()
    watch = DeviceWatch()
    seen["mixed_devices"], seen["homeless_outputs"] = watch.mixed, []
    return watch


def _homeless(watch, part) -> bool:
    return isinstance(watch, DeviceWatch) and watch.is_homeless(part)


PROBES = {
    "steps": observe_steps,
    "evaluation": observe_evaluation,
    "batches": observe_batches,
    "groups": observe_groups,
}
