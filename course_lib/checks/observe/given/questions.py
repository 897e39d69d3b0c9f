"""What crosses between a test and an implementation that it may not look into: questions, answers.

    question    of, args, cotangent     which callable; its arguments, by position; for gradients
    answer      value                   what it returned
                error                   `{"type", "message"}` of what it raised
                refused                 why the question was not put to it

Everything in a question may be an attacker's, and everything in it is bounded.
"""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..wall import wire

MAX_ELEMENTS = 2**18  # of a tensor
MAX_AXES = 8

MAX_BYTES = 16 * 2**20  # of a question or an answer

_pipes: tuple[int, int] | None = None  # where to ask, and where answers come from


def connect(to: int, fro: int) -> None:
    """From now on questions go out, or come in, through these two files."""
    global _pipes
    _pipes = to, fro


def is_connected() -> bool:
    """Does another process answer, or ask?"""
    return _pipes is not None


def send(value) -> None:
    """Send a question, or an answer, to the other side."""
    wire.write_frame(_pipes[0], wire.pack(value))


def receive(max_bytes: int = MAX_BYTES):
    """What the other side sends next.

    Raises:
        wire.EndOfStream: it has closed its end.
    """
    never = time.monotonic() + 86_400  # somebody else watches the time
    frame = wire.read_frame(_pipes[1], max_bytes=max_bytes, deadline=never)
    return wire.unpack(frame, max_bytes=max_bytes)


class Refused(ValueError):
    """A value cannot go to an implementation, or is too big to."""


def encode(value):
    """A tensor, a number, None, or a tuple or list of these, as plain data and arrays.

    Raises:
        Refused: it is none of these, or too big.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (tuple, list)) and len(value) <= MAX_AXES:
        return {"items": [encode(item) for item in value], "tuple": isinstance(value, tuple)}
    if isinstance(value, (np.ndarray, np.generic)):
        value = torch.as_tensor(value)
    if not isinstance(value, Tensor):
        raise Refused(f"only tensors, numbers and None can be passed, got {_kind(value)}")
    _check_size(value.shape)
    value = value.detach().cpu().contiguous()
    if value.dtype is torch.bfloat16:
        return {"bfloat16": value.view(torch.int16).numpy().copy()}
    return {"array": value.resolve_conj().resolve_neg().numpy().copy()}


def decode(value, device=None):
    """What `encode` was given; tensors are detached, and fresh.

    Raises:
        Refused: it is too big, or not what `encode` writes.
    """
    match value:
        case None | bool() | int() | float():
            return value
        case {"items": list(items), "tuple": is_tuple} if len(items) <= MAX_AXES:
            decoded = [decode(item, device) for item in items]
            return tuple(decoded) if is_tuple else decoded
        case {"array": np.ndarray() as array}:
            _check_size(array.shape)
            return torch.from_numpy(np.array(array)).to(device)
        case {"bfloat16": np.ndarray() as array} if array.dtype == np.int16:
            _check_size(array.shape)
            return torch.from_numpy(np.array(array)).view(torch.bfloat16).to(device)
    raise Refused("a value cannot be read")


def _check_size(shape: Sequence[int]) -> None:
    n_elements = 1
    for length in shape:
        n_elements *= length
    if len(shape) > MAX_AXES or n_elements > MAX_ELEMENTS:
        raise Refused(
            f"a tensor may have {MAX_AXES} axes and {MAX_ELEMENTS:,} elements here, "
            f"got the shape {tuple(shape)}"
        )


def _kind(value) -> str:
    return f"a {type(value).__name__}"
