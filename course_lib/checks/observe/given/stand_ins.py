"""What a test of lesson 10 is given: callables that it can call and not look into.

Each packs its arguments into a question, asks it, and unpacks the answer.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .config import ReferenceConfig
from .questions import Refused, decode, encode, receive, send


class Conversation:
    """What is asked about one implementation, and the errors that came from there."""

    def __init__(self, ask: Callable[[dict], Mapping]):
        self.ask, self.raised = ask, []


# A stand-in holds a number, and nothing that leads to what it stands for.
_conversations: dict[int, Conversation] = {}
_numbers = itertools.count(1)


@contextmanager
def conversation(ask: Callable[[dict], Mapping]) -> Iterator[tuple[int, Conversation]]:
    """The number under which stand-ins can ask, for as long as one test runs."""
    number = next(_numbers)
    _conversations[number] = Conversation(ask)
    try:
        yield number, _conversations[number]
    finally:
        del _conversations[number]


def _ask(number: int, of: str, args: Sequence, cotangent: Tensor | None = None):
    """What the implementation returns for these arguments, or raises."""
    if number not in _conversations:
        raise RuntimeError("this implementation was there for one test, which is over")
    talk = _conversations[number]
    try:
        given = [encode(arg) for arg in args]
        question = {"of": of, "args": given, "cotangent": encode(cotangent)}
    except Refused as refusal:
        raise ValueError(str(refusal)) from None
    reply = talk.ask(question)
    if "refused" in reply:
        raise ValueError(reply["refused"])
    if "error" in reply:
        kind = _ERRORS.get(reply["error"]["type"], RuntimeError)
        talk.raised.append(kind(reply["error"]["message"]))
        raise talk.raised[-1]
    device = next((arg.device for arg in args if isinstance(arg, Tensor)), None)
    return decode(reply["value"], device)


def ask_over_pipes(question: dict) -> Mapping:
    """Put a question to the implementation that lives in another process."""
    send({"question": question})
    return receive()


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


STAND_INS = {
    "test_attention": lambda number, call: (MaskedAttention(number),),
    "test_causality": lambda number, call: (Model(number, call["config"]),),
    "test_layer_norm": lambda number, call: (LayerNorm(number),),
    "test_cached_generation": _model_and_generate,
}
