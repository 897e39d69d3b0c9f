"""What a component may be asked to do: calls, as plain data that can cross a wall.

A call is a tree of dicts and lists with NumPy arrays as leaves. Its `probe` says who makes it
(`observing.py`), and each kind of call below lists what its probe reads. The checks write calls
(`checks/cases/`, `checks/lessons/`); nothing in them is taken from a submission.
"""

from typing import Any, NotRequired, TypedDict

import numpy as np

Config = dict[str, Any]  # the fields of a `GPTConfig`
THE_CALLS_DEVICE = {"device": True}  # an argument: the device of the call itself


class Call(TypedDict):
    """What every call says."""

    probe: str
    dtype: str  # of floating point: "float64", …; "numpy" and "plain" need no tensors
    device: str
    random: NotRequired[bool]  # chance is part of what is done: compare averages
    alike: NotRequired[float]  # how far two writings of one bug may differ
    watch_devices: NotRequired[bool]  # look for tensors that would be on another device
    library: NotRequired[list[str]]  # look for calls of these, which are what is to be written
    limits: NotRequired[dict]  # `memory_bytes`, `wall_seconds`: only made where a sandbox sets them
    layout: NotRequired[str]  # how arguments lie in memory, by `given/layouts.py`


class LayoutsCall(Call):
    """The same call several times, its arguments laid out in memory as each of `layouts` says."""

    of: Call
    layouts: list[str]


class InUseCall(Call):
    """The same call several times, with a module or model in each of `ways` (`given/in_use.py`)."""

    of: Call
    ways: list[str]


class EarlierCallsCall(Call):
    """The same call several times, after something else each time: a way of `given/earlier.py`."""

    of: Call
    ways: list[str]


class SomeGradientsCall(Call):
    """The same call several times; each time only these ask for gradients, by their names."""

    of: Call
    asking: list[list[str]]


class WithoutGradientsCall(Call):
    """The same call several times: in each way of `given/without_gradients.py`."""

    of: Call
    ways: list[str]


class InTurnCall(Call):
    """Calls of one component, each by itself."""

    calls: list[Call]


class ResultsCall(Call):
    """Calls by somebody who keeps their results, and writes into them before the next call."""

    of: Call  # as it is, for comparison
    careless: list[Call]


class FunctionCall(Call):
    """A function is called. With `cotangents`, gradients of its outputs are asked for as well."""

    args: list
    kwargs: dict[str, Any]
    cotangents: NotRequired[list[np.ndarray | None] | None]


class ModuleCall(FunctionCall):
    """A module is built, filled with weights, and called."""

    init: list
    init_kwargs: dict[str, Any]
    weights: dict[str, np.ndarray]
    training: bool
    warm_up: list  # inputs of calls that come before, on the same module
    warm_up_training: bool  # the mode of those calls
    initial: bool  # look at the values of the fresh state as well
    attributes: list[str]  # names of attributes whose kind is looked at


class InfluenceCall(FunctionCall):
    """`future_influence` is called with a function that `given/fixtures.py` builds."""

    fn: dict[str, Any]
    x_requires_grad: bool


class MemoryCall(FunctionCall):
    """A function is called while what it holds is counted; so many of one kind are too many."""

    limit: int


class PlainCall(Call):
    """A function of plain Python, or a class; values are JSON, as `probes/plain.py` has it."""

    args: list
    kwargs: NotRequired[dict[str, Any]]
    script: list[dict] | None  # for a class, steps: {"name"} an attribute, {"name", "args"} a call


class GPTCall(FunctionCall):
    """A module built from a config; without weights, as it is made."""

    config: Config
    weights: dict[str, np.ndarray] | None
    training: NotRequired[bool]
    by_parts: NotRequired[int | None]  # an offset, if its parts are called one by one


class InitWeightsCall(FunctionCall):
    """`init_weights` is called with a model whose numbers are all the same."""

    config: Config
    way: NotRequired[str]  # how people have it, by `given/in_use.py`
    before: NotRequired[str]  # "nan" or "inf", where it is no usual number


class CountCall(FunctionCall):
    """`n_parameters` is called with a model."""

    config: Config
    shared: list  # pairs of tensors that are one
    without_memory: bool  # on the device "meta"
    head_first: bool  # was the head made before all else?
    way: NotRequired[str]


class LoadCall(FunctionCall):
    """`load_gpt2` is called with tensors by name."""

    config: Config
    tensors: dict[str, np.ndarray]
    later_ids: np.ndarray  # what the model reads once the given tensors hold zeros


class DrawsCall(FunctionCall):
    """`sample` is called with many rows of each kind; `args` holds one row of each."""

    n_rows: int
    seed: int | None  # of the generator; None: without one
    compare: bool  # two calls more: from the state after, and from the first again


class GenerateCall(DrawsCall):
    """`generate` is called; `args` holds the ids and how many are wanted."""

    model: dict[str, Any]
    training: bool
    in_evaluation: list[str]  # parts of the model that are in evaluation all the same
    learns: bool  # asked once before, when the model had other weights


class NamesCall(Call):
    """A text is read, and nothing run."""

    text: str


class ScriptCall(Call):
    """What is done in turn to a cache, or with one: `probes/caching.py` knows the verbs."""

    subject: str  # what the component is
    steps: list[dict]  # {"do": verb, …}
    caches: NotRequired[list]  # sizes: batch_size, n_heads, capacity, d_head
    cache_kwargs: NotRequired[list[str]]  # "dtype", "device": are they given to KVCache?
    default_dtype: NotRequired[str]  # torch's own meanwhile, where it is not float32
    model: NotRequired[dict[str, Any]]  # config, seed and kind of a model, see `lent/growing.py`


class StepsCall(Call):
    """`train_step` is called with one batch after the other."""

    model: dict[str, Any]
    optimizer: dict[str, Any]
    training: bool
    in_evaluation: list[str]  # parts of the model that are in evaluation all the same
    stale: bool  # gradients of an earlier backward are still there
    batches: list[dict]  # inputs, targets, kwargs


class EvaluationCall(Call):
    """`evaluate` is called."""

    model: dict[str, Any]
    training: bool
    in_evaluation: list[str]
    gradients: bool  # are they on when it is called?
    tokens: np.ndarray
    after: np.ndarray  # ids that the model reads afterwards, in the mode in which it was left
    kwargs: dict[str, Any]


class BatchesCall(Call):
    """`get_batch` is called many times with one generator."""

    tokens: np.ndarray
    batch_size: int
    context_length: int
    seed: int
    n_calls: int


class GroupsCall(Call):
    """`decay_groups` is called with a model."""

    model: dict[str, Any]
    weight_decay: float


class ClinicCall(Call):
    """A learner's test is handed an implementation.

    `patient` says which. It stays on the grader's side: it is taken out before a call enters a
    sandbox.
    """

    test: str
    config: Config | None
    patient: dict[str, Any]


class ConsultCall(TypedDict):
    """Questions about these implementations are answered, until no more can come."""

    probe: str
    patients: list[dict[str, Any]]


class PackageCall(Call):
    """A whole package works: `probes/whole.py` says what each run reads besides."""

    run: str
    config: Config
    weights: dict[str, np.ndarray] | None  # None: as it was made
    seed: int  # of all that is drawn there
