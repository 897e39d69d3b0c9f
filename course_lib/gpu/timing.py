"""How long the card takes, and several rounds in three numbers."""

import statistics
import time
from collections.abc import Callable

import torch


def synchronize(device: str) -> None:
    """Wait until the card has done all that it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds_for(work: Callable[[], object], device: str) -> float:
    """How long it takes until the card has done it."""
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started


def spread(values: list[float]) -> dict:
    """Median, smallest and largest of some rounds."""
    numbers = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: float(f"{value:.6g}") for name, value in numbers.items()} | {
        "rounds": len(values)
    }
