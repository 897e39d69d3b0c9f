"""The side of the implementation: it answers questions, a bounded number of them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..load.answer import short
from .questions import Refused, decode, encode

MAX_NEW_TOKENS = 512
MAX_QUESTIONS = 2000  # about one implementation

NUMBER_OF_ARGUMENTS = {
    "masked_attention": (4,),
    "layer_norm": (3, 4),
    "model": (1,),
    "generate_cached": (2,),
}


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
