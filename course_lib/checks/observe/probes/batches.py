"""Observe `get_batch`: many batches with one generator, and what they say about their starts."""

import random

import numpy as np
import torch
from torch import Tensor

from ..calls import BatchesCall
from ..given.trained import name_of_dtype
from ..observations import Observation
from .record import copy_of, tensor_of
from .training import array_of, is_unplaced, watching_devices


def observe_batches(component, call: BatchesCall, seen: Observation) -> None:
    """Many batches with one generator, and the first few again with another of the same seed.

    The global sources of chance stand elsewhere the second time, and must not have moved.
    """
    before = _chance()
    try:
        tokens, given = (tensor_of(call["tokens"], call) for _ in range(2))
        with watching_devices(call, seen) as watch:
            batches, moved = _draw_batches(component, given, call, call["n_calls"], 1)
            seen["unplaced_outputs"] = [
                n for batch in batches for n, part in enumerate(batch) if is_unplaced(watch, part)
            ][:4]
        again, moved_again = _draw_batches(component, given, call, min(3, call["n_calls"]), 2)
    finally:
        _set_chance(before)
    seen["arguments"] = [array_of(given)]
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
        parts = result if isinstance(result, (tuple, list)) else [result]
        batches.append(tuple(map(copy_of, parts)))
    return batches, [name for name, state in _chance().items() if not _same(state, before[name])]


def _kind(batch) -> str:
    """What one call returned: `(int64 4×3, int64 4×3)`."""
    parts = [
        f"{name_of_dtype(part.dtype)} {'×'.join(map(str, part.shape))}"
        if isinstance(part, Tensor)
        else type(part).__name__
        for part in batch[:4]
    ]
    return f"({', '.join(parts)})"


def _stacked(parts: list):
    """The same part of every batch in one array; None where they do not fit together."""
    fits = parts and all(isinstance(p, Tensor) and p.shape == parts[0].shape for p in parts)
    return array_of(torch.stack(parts)) if fits and parts[0].numel() < 10_000 else None


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
