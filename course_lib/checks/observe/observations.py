"""What happened in a call: the observation, as plain data that can cross a wall.

A probe begins with an empty one and writes down what there is to see, so most fields are there in
some calls only. A judge reads it through `checks/judges/seen.py`, and believes nothing in it.
"""

from typing import Any, TypedDict

import numpy as np

Array = np.ndarray | dict  # bfloat16, which NumPy lacks, as {"dtype": "bfloat16", "array": bits}


class Error(TypedDict):
    """An error that was raised."""

    type: str
    classes: list[str]  # its class, and the classes above it
    message: str
    place: str  # where in the solution cell: " (line 3: x = y)", or nothing
    refuses: bool  # does it come from a `raise` of the answer's own?
    name: str  # that is not defined


class Output(TypedDict, total=False):
    """One value that was returned."""

    kind: str  # "tensor", "array", "number" or "other"
    array: Array | None
    dtype: str  # of anything but tensors and arrays, the name of its type
    device: str
    requires_grad: bool


class Observation(TypedDict, total=False):
    """What was seen of one call, or of one step of it."""

    # of every call
    error: Error | None
    outputs: list[Output]
    structure: str  # the type of what came back
    n_parts: int  # how many values that were
    arguments: list[Array | None]  # as they are after the call; None for what is no array
    changed: list[int]  # those that were written into, as it looks from inside: for a bug's name
    value: Any  # what is said as JSON
    steps: list["Observation"]  # one after the other
    # of modules and models
    parameters: dict[str, list[int]]  # shapes by name
    trainable: list[str]
    same_tensor: dict[str, str]  # of a tensor's further names, its first
    initial: dict[str, Array]  # the state of a fresh module, or of one that has been trained
    attributes: dict[str, Any]  # what its parts are
    # gradients, and what became of those that were there
    gradients: dict[str, Array | None]
    kept_gradients: list[Array | None]
    x_requires_grad: bool
    parameters_still_train: bool
    # what watched it
    mixed_devices: list[str]  # operations between tensors of two devices
    unplaced_outputs: list[int]  # outputs that were made without a device
    library: list[str]  # of what the call asks for, what was called
    peaks: dict[str, int]  # the most that was held, by kind
    too_many: str  # the first kind of which it was too many, or ""
    calls: list[int]  # how often each function among the arguments was called
    # what chance decides, and text that grows
    draws: list[Output]  # the ids themselves, where `outputs` says how often each was drawn
    inside: dict[str, bool]  # in which state the model was when it was called
    afterwards: dict[str, Any]  # … and then, and whether one state gave the same ids twice
    torchs_own_kept: bool  # torch's own generator stayed where it was
    # of training
    left: dict[str, Array]  # weights and what the optimizer remembers, by name
    drawn: dict[str, Array | None]  # raw batches
    in_training_without_targets: list[str]  # parts in training after a text of one token
    # of a learner's test: `value` is "accepted", "rejected" by an AssertionError, or "gave up"
    # when the implementation raised an error that went through
    reason: str  # with what words
    # of a whole package
    counts: list[int]  # of parameters
    positions: int  # that went through the token embedding
    still_training: bool  # is every part in the mode in which it was?


class Reply(TypedDict, total=False):
    """What an observer answers to a list of calls."""

    status: str  # "done", or why not all of them were made
    message: str  # the same for people
    observations: list[Observation]  # of as many calls as were made, in their order
    seconds: float


def blank() -> Observation:
    """An observation of something that has not happened yet."""
    return {"error": None, "outputs": [], "structure": "", "changed": [], "value": None}
