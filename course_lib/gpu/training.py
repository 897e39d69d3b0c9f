"""Training a GPT-2 of 124M parameters at T = 1024, ours beside Hugging Face's.

All arms begin with the same weights and take `train_step` of lesson 8 on the same batch: products
in bfloat16 over weights in float32, AdamW, clipping. What a step costs is counted as

    3 · (24·L·C² + 2·L·T·C + 2·C·V) operations for each token:

two for each weight that a token meets, half of all pairs of positions (the model is causal), and a
backward pass of two forward passes. The share of the card is that, over the time, over the matrix
products that the card does at best.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from course_lib.models.bench.workloads import forward_operations
from course_lib.transformer.model import n_parameters
from course_lib.transformer.training import decay_groups, train_step

from .attempts import attempt
from .forms import FUSED, STEP_BY_STEP, THEIRS, Forms, Logits, make_forms, random_ids, shape_for
from .sections import Run
from .timing import seconds_for, spread

ROUNDS, N_STEPS, WARM_UP = 5, 5, 3
EAGER_LIMIT, COMPILED_LIMIT = 40, 90  # seconds for one arm
ARMS = (  # what matters most comes first
    (FUSED, False), (THEIRS, False), (STEP_BY_STEP, False),
    (FUSED, True), (THEIRS, True),
)  # fmt: skip


def rows(run: Run) -> Iterator[dict]:
    shape = shape_for(run.is_small)
    forms = make_forms(shape)
    ids = random_ids(shape, _batch_size(run), shape.context_length + 1)
    about = {"name": "setting", "n_rows": len(ids), "n_tokens": shape.context_length}
    about |= {"dtype": "bfloat16", "n_parameters": n_parameters(forms.models[FUSED])}
    yield about | {"operations_per_token": 3 * forward_operations(shape, shape.context_length)}
    for name, is_compiled in ARMS:
        about = {"name": f"{name}, compiled" if is_compiled else name}
        about |= {"form": name, "is_compiled": is_compiled}
        limit = COMPILED_LIMIT if is_compiled else EAGER_LIMIT
        arm = (forms, name, is_compiled, ids)
        yield attempt(about, lambda arm=arm: _train(*arm, run), limit)


def _batch_size(run: Run) -> int:
    """As many rows as the card holds with the weights of all pairs, which step by step keeps."""
    if run.device == "cpu":
        return 2
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    return 16 if gib > 90 else 8 if gib > 45 else 4


def _train(forms: Forms, name: str, is_compiled: bool, ids: Tensor, run: Run) -> dict:
    model = forms.get(name).to(run.device).train()
    if name == THEIRS:
        model = Logits(model)
    ids = ids.to(run.device)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-4, fused=True)
    trained = _compiled(model, run) if is_compiled else model
    losses = []

    def step() -> None:
        losses.append(
            train_step(trained, optimizer, inputs, targets, autocast_dtype=torch.bfloat16)
        )

    _reset_peak(run.device)
    first = seconds_for(step, run.device)
    for _ in range(WARM_UP):
        step()
    n_steps = 1 if run.is_small else N_STEPS
    times = [
        seconds_for(lambda: [step() for _ in range(n_steps)], run.device) / n_steps
        for _ in range(ROUNDS)
    ]
    return {
        "first_step_seconds": first,
        "seconds": spread(times),
        "tokens_per_second": spread([inputs.numel() / seconds for seconds in times]),
        "peak_bytes": _peak(run.device),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "n_steps": len(losses),
    }


def _compiled(model: nn.Module, run: Run) -> nn.Module:
    torch._dynamo.reset()
    # Without a card the compiler's first half is tried, which needs no other compiler.
    return torch.compile(model, backend="inductor" if run.device == "cuda" else "eager")


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> int | None:
    return torch.cuda.max_memory_allocated() if device == "cuda" else None
