"""The observer of this process: in a notebook, on a page of the book, under pytest."""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator

from .calls import Call
from .load.answer import AnswerRefused
from .observations import Reply
from .observing import observe_call


def observe_here(component: object | Callable[[], object], *, load: bool = False):
    """An observer for `run` that calls the component in this process.

    Args:
        component: the component, or, with `load`, a function without arguments that returns it
            and may raise `AnswerRefused`.

    Returns:
        The observer. What the component printed in each call is in its `printed` afterwards.
    """

    def observe_calls(calls: list[Call]) -> Reply:
        started = time.perf_counter()
        reply = {"status": "done", "message": "", "observations": []}
        try:
            with _kept(observe_calls.printed_before):
                subject = component() if load else component
        except AnswerRefused as refusal:
            reply |= {"status": "refused", "message": str(refusal)}
        else:
            for call in calls:
                with _kept(observe_calls.printed):
                    reply["observations"].append(observe_call(subject, call))
        return reply | {"seconds": time.perf_counter() - started}

    observe_calls.sets_no_limits = True
    observe_calls.printed, observe_calls.printed_before = [], []
    return observe_calls


@contextlib.contextmanager
def _kept(texts: list[str]) -> Iterator[None]:
    """Keep what is printed meanwhile; a debugger that is entered by `breakpoint()` is shown."""
    kept, shown, hook = io.StringIO(), sys.stdout, sys.breakpointhook

    def enter(*args, **kwargs):
        sys.stdout = shown
        return hook(*args, **kwargs)

    with contextlib.redirect_stdout(kept):
        sys.breakpointhook = enter
        try:
            yield
        finally:
            sys.breakpointhook = hook
    texts.append(kept.getvalue())
