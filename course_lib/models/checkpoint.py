"""A run on disk: weights and optimizer in safetensors, the rest in JSON, and never half of it.

    OUT/checkpoint.json           which folder holds the newest state
    OUT/step-000250/model.safetensors, optimizer.safetensors, state.json

A checkpoint is written beside the old one and counts from the moment `checkpoint.json` names it.
Until then, whatever happens, the old one does.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from course_lib.files import write_atomically

from . import ModelError

POINTER = "checkpoint.json"
VERSION = 1


@dataclass
class Checkpoint:
    """All that a run needs to go on, or a model to write.

    Args:
        state: plain JSON: step, settings, sizes of the model, tokenizer, losses so far.
    """

    state: dict
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters and kept buffers by name, tied ones once."""
    kept, places = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in places:
            places.add(tensor.data_ptr())
            kept[name] = tensor.detach().cpu().contiguous()
    return kept


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into `folder`, make it the one that counts, and delete the one before.

    Raises:
        ModelError: it cannot be written, such as on a full disk; the one before still counts.
    """
    step = checkpoint.state["step"]
    target, temporary = folder / f"step-{step:06d}", folder / f".step-{step:06d}.{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        hashes = {}
        for name, tensors in (("model", checkpoint.weights), ("optimizer", checkpoint.optimizer)):
            content = safetensors.torch.save(tensors)
            hashes[name] = hashlib.sha256(content).hexdigest()
            write_atomically(temporary / f"{name}.safetensors", content)
        state = {**checkpoint.state, "version": VERSION, "sha256": hashes}
        write_atomically(temporary / "state.json", json.dumps(state, indent=1))
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
        write_atomically(folder / POINTER, json.dumps({"newest": target.name, "step": step}))
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ModelError(
            f"the checkpoint of step {step} could not be written to {folder} ({error.strerror}): "
            f"{_what_counts(folder)}"
        ) from error
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def require_writable(folder: Path) -> None:
    """Make sure, before hours of work, that files can be written there; it leaves no trace.

    Raises:
        ModelError: they cannot.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ModelError(
            f"--out must be a folder that can be written to, got {folder} ({error.strerror}): "
            "choose another."
        ) from None
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # never made, or somebody else is in it by now
                path.rmdir()


def load(folder: Path) -> Checkpoint:
    """The newest checkpoint in `folder`, or the one that `folder` itself is.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    place = folder
    if not (folder / "state.json").is_file():
        try:
            place = folder / Path(json.loads((folder / POINTER).read_text("utf-8"))["newest"]).name
        except FileNotFoundError:
            raise ModelError(
                f"{folder} holds no checkpoint: train one with  "
                f"course train --out {shlex.quote(str(folder))}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise ModelError(f"{folder / POINTER} is damaged: {_others(folder)}") from None
    try:
        state = json.loads((place / "state.json").read_text("utf-8"))
        if state["version"] != VERSION:
            raise ModelError(
                f"{place} was written by another version of the course (its format is "
                f"{state['version']}, this one reads {VERSION})."
            )
        parts = {}
        for name, wanted in state["sha256"].items():
            content = (place / f"{name}.safetensors").read_bytes()
            if hashlib.sha256(content).hexdigest() != wanted:
                raise ModelError(f"{place / name}.safetensors is damaged: {_others(folder)}")
            parts[name] = safetensors.torch.load(content)
        return Checkpoint(state, parts["model"], parts["optimizer"])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"the checkpoint {place} is damaged ({type(error).__name__}): {_others(folder)}"
        ) from None


def fill(model: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    """Put the weights into the model.

    Raises:
        ModelError: they are of another shape or of other names.
    """
    own = model.state_dict()
    wrong = [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    surplus = [f"{name} is not in the model" for name in weights if name not in own]
    filled = {own[name].data_ptr() for name in weights if name in own}
    missing = [f"{name} is missing" for name, t in own.items() if t.data_ptr() not in filled]
    problems = [*wrong, *surplus, *missing]
    if problems:
        more = f" ({len(problems)} tensors differ)" if len(problems) > 1 else ""
        raise ModelError(f"{where} holds another model: {problems[0]}{more}.")
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory as tensors by name: `3.exp_avg` is of the fourth parameter."""
    return {
        f"{number}.{key}": value.detach().cpu().contiguous()
        for number, kept in optimizer.state_dict()["state"].items()
        for key, value in kept.items()
    }


def fill_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimizer its memory back."""
    state: dict[int, dict] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})


def _what_counts(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        step = json.loads((folder / POINTER).read_text("utf-8"))["step"]
        return f"make room, then go on from step {step} with --resume."
    return "make room, then start again."


def _others(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("step-*") if (path / "state.json").is_file())
    if len(found) > 1:
        return f"there is also {', '.join(found)}."
    return "train again, or copy it back."
