"""Hand a learner's test an implementation that it can call and not look into.

What the test gets are stand-ins: each packs its arguments into a *question*, asks it, and unpacks
the answer. In a notebook this process answers; in the grader's sandbox the implementation lives
in another process, behind a wall of its own, and questions and answers cross two pipes.

    question    of, args, cotangent     which callable; its arguments, by position; for gradients
    answer      value                   what it returned
                error                   `{"type", "message"}` of what it raised
                refused                 why the question was not put to it

Everything in a question may be an attacker's, and everything in it is bounded.

    observation  value                  "accepted", "rejected" by an AssertionError, or "gave up":
                                        the implementation raised an error, and it went through
                 structure              what the test returned
                 reason                 with what words it was rejected
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..given.models import ReferenceConfig
from ..load.answer import place, short
from ..wall import wire

MAX_ELEMENTS = 2**18  # of a tensor
MAX_AXES = 8
MAX_NEW_TOKENS = 512
MAX_QUESTIONS = 2000  # about one implementation
MAX_BYTES = 16 * 2**20  # of a question or an answer
NUMBER_OF_ARGUMENTS = {
    "masked_attention": (4,),
    "layer_norm": (3, 4),
    "model": (1,),
    "generate_cached": (2,),
}

_admit: Callable[..., dict] | None = None  # who knows the implementations, in this process
_pipes: tuple[int, int] | None = None  # where to ask, and where answers come from


def answer_with(admit: Callable[..., dict]) -> None:
    """From now on this process itself answers: `admit(**patient)` gives callables by name."""
    global _admit
    _admit = admit


def connect(to: int, fro: int) -> None:
    """From now on questions go out, or come in, through these two files."""
    global _pipes
    _pipes = to, fro


# --- the side of the test --------------------------------------------------------------------


def observe_clinic(test, call, seen) -> None:
    """Hand the call's implementation to `test`, and write down how it was received."""
    line = _Line(_ask_over_pipes if _pipes else Answers(_admit(**call["patient"])))
    number = next(_numbers)
    _lines[number] = line
    try:
        returned = test(*_STAND_INS[call["test"]](number, call))
    except Exception as error:
        if error in line.raised:
            seen["value"] = "gave up"
        elif isinstance(error, AssertionError):
            seen["value"] = "rejected"
        else:
            raise
        text = short(error)
        seen["reason"] = type(error).__name__ + (f": {text}" if text else "") + place(error)
    else:
        seen["value"] = "accepted"
        seen["structure"] = type(returned).__name__ if returned is not None else ""
    finally:
        del _lines[number]


class _Line:
    """A conversation about one implementation, and the errors that came from there."""

    def __init__(self, ask: Callable[[dict], Mapping]):
        self.ask, self.raised = ask, []


# A stand-in holds a number, and nothing that leads to what it stands for.
_lines: dict[int, _Line] = {}
_numbers = itertools.count(1)


def _ask(number: int, of: str, args: Sequence, cotangent: Tensor | None = None):
    """What the implementation returns for these arguments, or raises."""
    if number not in _lines:
        raise RuntimeError("this implementation was there for one test, which is over")
    line = _lines[number]
    try:
        given = [encode(arg) for arg in args]
        question = {"of": of, "args": given, "cotangent": encode(cotangent)}
    except Refused as refusal:
        raise ValueError(str(refusal)) from None
    reply = line.ask(question)
    if "refused" in reply:
        raise ValueError(reply["refused"])
    if "error" in reply:
        kind = _ERRORS.get(reply["error"]["type"], RuntimeError)
        line.raised.append(kind(reply["error"]["message"]))
        raise line.raised[-1]
    device = next((arg.device for arg in args if isinstance(arg, Tensor)), None)
    return decode(reply["value"], device)


def _ask_over_pipes(question: dict) -> Mapping:
    to, fro = _pipes
    wire.write_frame(to, wire.pack({"question": question}))
    never = time.monotonic() + 86_400  # somebody else watches the time
    frame = wire.read_frame(fro, max_bytes=MAX_BYTES, deadline=never)
    return wire.unpack(frame, max_bytes=MAX_BYTES)


_ERRORS = {
    kind.__name__: kind
    for kind in (
        *(ValueError, TypeError, RuntimeError, IndexError, AttributeError, ZeroDivisionError),
        *(OverflowError, FloatingPointError, NotImplementedError),
    )
}


class StandIn:
    """Can be called like the function it stands for, and knows nothing about it."""

    __slots__ = ("_number",)

    def __init__(self, number: int):
        self._number = number


class MaskedAttention(StandIn):
    """An implementation of `masked_attention`."""

    __slots__ = ()

    def __call__(self, q, k, v, mask=None):
        return _ask(self._number, "masked_attention", [q, k, v, mask])


class LayerNorm(StandIn):
    """An implementation of `layer_norm`. What it returns carries gradients."""

    __slots__ = ()

    def __call__(self, x, weight, bias, eps=None):
        return _Differentiable.apply(self._number, [] if eps is None else [eps], x, weight, bias)


class _Differentiable(torch.autograd.Function):
    """Asks for the gradients as it asks for the values. One that is missing comes as zeros."""

    @staticmethod
    def forward(ctx, number, eps, x, weight, bias):
        ctx.number, ctx.eps = number, eps
        ctx.save_for_backward(x, weight, bias)
        return _ask(number, "layer_norm", [x, weight, bias, *eps])

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        args = [*ctx.saved_tensors, *ctx.eps]
        return None, None, *_ask(ctx.number, "layer_norm", args, cotangent)


class Model(StandIn):
    """A model under test: it has a `config`, and gives logits for token ids."""

    __slots__ = ("config",)

    def __init__(self, number: int, config: Mapping):
        super().__init__(number)
        self.config = ReferenceConfig(**config)

    def __call__(self, ids):
        return _ask(self._number, "model", [torch.as_tensor(ids)])

    def __getattr__(self, name: str):
        raise AttributeError(
            f"a model under test can be called and shows its config, it has no {name!r}"
        )


class GenerateCached(StandIn):
    """An implementation of `generate_cached`, always greedy, for the model that came with it."""

    __slots__ = ("_model",)

    def __init__(self, number: int, model: Model):
        super().__init__(number)
        self._model = model

    def __call__(self, model, ids, n_new, *, temperature=0, top_k=None, top_p=None, generator=None):
        if model is not self._model:
            raise TypeError("generate_cached works here with the model that the test was given")
        if temperature != 0:
            raise ValueError(f"generation is greedy here, got temperature={temperature}")
        return _ask(self._number, "generate_cached", [torch.as_tensor(ids), n_new])


def _model_and_generate(number: int, call) -> tuple:
    model = Model(number, call["config"])
    return model, GenerateCached(number, model)


_STAND_INS = {
    "test_attention": lambda number, call: (MaskedAttention(number),),
    "test_causality": lambda number, call: (Model(number, call["config"]),),
    "test_layer_norm": lambda number, call: (LayerNorm(number),),
    "test_cached_generation": _model_and_generate,
}


# --- the side of the implementation ----------------------------------------------------------


class Refused(ValueError):
    """A value cannot go to an implementation, or is too big to."""


class Answers:
    """Answers questions about one implementation, a bounded number of them.

    Args:
        subject: its callables, by the names that questions use.
    """

    def __init__(self, subject: Mapping[str, Callable]):
        self.subject, self.n_asked = subject, 0

    def __call__(self, question: Mapping) -> dict:
        self.n_asked += 1
        try:
            if self.n_asked > MAX_QUESTIONS:
                raise Refused(f"a test may call an implementation {MAX_QUESTIONS} times")
            args, cotangent = _understand(question)
        except Exception as error:
            return {"refused": short(error)}
        try:
            return {"value": encode(_put(self.subject[question["of"]], args, cotangent))}
        except Refused as error:
            return {"refused": f"the answer is too big: {error}"}
        except Exception as error:
            return {"error": {"type": type(error).__name__, "message": short(error)}}


def consult(admit, call, seen) -> None:
    """Answer the questions that come through the pipes, until no more can come.

    `which` says whom a question is about. It comes from the grader, not from the test.
    """
    to, fro = _pipes
    who, answers = None, None
    never = time.monotonic() + 86_400
    while True:
        try:
            frame = wire.read_frame(fro, max_bytes=MAX_BYTES + 4096, deadline=never)
        except wire.EndOfStream:
            return
        asked = wire.unpack(frame, max_bytes=len(frame))
        if who != asked["which"]:
            who, answers = asked["which"], Answers(admit(**call["patients"][asked["which"]]))
        wire.write_frame(to, wire.pack(answers(asked["question"])))


def _understand(question: Mapping) -> tuple[list, Tensor | None]:
    args = [decode(arg) for arg in question["args"]]
    allowed = NUMBER_OF_ARGUMENTS[question["of"]]
    if len(args) not in allowed:
        raise Refused(f"{question['of']} takes {allowed[-1]} arguments, got {len(args)}")
    if question["of"] == "generate_cached" and not (
        type(args[1]) is int and args[1] <= MAX_NEW_TOKENS
    ):
        raise Refused(f"n_new must be a whole number of at most {MAX_NEW_TOKENS}, got {args[1]!r}")
    return args, decode(question["cotangent"])


def _put(function: Callable, args: list, cotangent: Tensor | None):
    """The function's value, or its gradients by floating-point arguments towards `cotangent`."""
    if cotangent is None:
        with torch.no_grad():
            return function(*args)
    with torch.enable_grad():
        wanted = [arg for arg in args if isinstance(arg, Tensor) and arg.is_floating_point()]
        for arg in wanted:
            arg.requires_grad_()
        result = function(*args)
        if result.requires_grad:
            total = (result * cotangent).sum()
            found = torch.autograd.grad(total, wanted, materialize_grads=True)
        else:
            found = [torch.zeros_like(arg) for arg in wanted]
    found = iter(found)
    return [next(found) if any(arg is one for one in wanted) else None for arg in args[:3]]


# --- what crosses ----------------------------------------------------------------------------


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
