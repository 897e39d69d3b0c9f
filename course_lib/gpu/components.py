"""The checks of all components, ours, with the device's tensors."""

import importlib
import time
from collections.abc import Iterator

import torch

from course_lib.checks import all_checks, observe_here
from course_lib.checks import run as run_check
from course_lib.models.whose_model import OURS

from .attempts import StartAgain, attempt
from .sections import Run
from .timing import synchronize

SEED = 0
LONGEST = 40  # seconds for one component


def rows(run: Run) -> Iterator[dict]:
    for check in _chosen(run):
        if check.name not in run.done:
            about = {"name": check.name, "lesson": check.lesson}
            yield attempt(about, lambda one=check: _judge(one, run.device), LONGEST)
            _must_still_work(run.device)


def _chosen(run: Run) -> list:
    """Of all components; in a trial, the last of each module."""
    checks = all_checks()
    return list({check.module: check for check in checks}.values()) if run.is_small else checks


def _judge(check, device: str) -> dict:
    component = getattr(importlib.import_module(f"{OURS}.{check.module}"), check.name)
    before, started = _n_allocations(device), time.perf_counter()
    verdict = run_check(check, observe_here(component), seed=SEED, device=device)
    found = {
        "passed": verdict.passed,
        "n_calls": verdict.n_calls,
        "seconds": round(time.perf_counter() - started, 3),
        # A component of plain Python or NumPy never asks the card for memory.
        "is_on_device": _n_allocations(device) > before if device == "cuda" else None,
    }
    return found if verdict.passed else found | {"message": verdict.message}


def _n_allocations(device: str) -> int:
    return torch.cuda.memory_stats().get("allocation.all.allocated", 0) if device == "cuda" else 0


def _must_still_work(device: str) -> None:
    """An assertion that fails inside the card ends all work of its process there.

    Raises:
        StartAgain: that has happened.
    """
    try:
        torch.zeros(1, device=device).add_(1).item()
        synchronize(device)
    except RuntimeError as error:
        raise StartAgain from error
