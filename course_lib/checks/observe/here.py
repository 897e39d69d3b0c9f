"""The observer of this process: in a notebook, on a page of the book, under pytest."""

import time
from collections.abc import Callable

from .calls import Call
from .load.answer import AnswerRefused
from .observations import Reply
from .observing import observe_call


def observe_here(component: object | Callable[[], object], *, load: bool = False):
    """An observer for `run` that calls the component in this process.

    Args:
        component: the component, or, with `load`, a function without arguments that returns it
            and may raise `AnswerRefused`.
    """

    def observe_calls(calls: list[Call]) -> Reply:
        started = time.perf_counter()
        reply = {"status": "done", "message": "", "observations": []}
        try:
            subject = component() if load else component
        except AnswerRefused as refusal:
            reply |= {"status": "refused", "message": str(refusal)}
        else:
            reply["observations"] = [observe_call(subject, call) for call in calls]
        return reply | {"seconds": time.perf_counter() - started}

    observe_calls.sets_no_limits = True
    return observe_calls
