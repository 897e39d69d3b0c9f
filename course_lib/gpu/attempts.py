"""One measurement, which may fail or hang and must not take the others along."""

import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from course_lib.models import ModelError


class Skipped(Exception):
    """A section does not apply here; the text says why."""


class StartAgain(Exception):
    """This process cannot go on with its card; a fresh one can, after the rows told so far."""


class TooLong(BaseException):
    """No `except Exception` on the way, such as a compiler's, may keep it from arriving."""


def attempt(about: dict, work: Callable[[], dict], seconds: float) -> dict:
    """The row `about` with what `work` measured, or with the error that it ended in."""
    try:
        with at_most(seconds):
            return about | work()
    except TooLong:
        return about | {"error": f"took longer than {seconds:g} s"}
    except Exception as error:  # whatever it is, the other rows go on
        return about | {"error": in_one_line(error)}
    finally:
        free_memory()


def in_one_line(error: BaseException) -> str:
    """What a reader of the record should know of an error."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"needs {error.name}, which is not installed here"
    if isinstance(error, ModelError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer. Only the main thread can; C code is interrupted on its return.

    Raises:
        TooLong: it took longer.
    """

    def give_up(number, frame):
        raise TooLong

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def free_memory() -> None:
    """Give the card's memory back that no tensor holds any more."""
    gc.collect()
    torch = sys.modules.get("torch")  # where nobody has imported it, there is nothing to give back
    if torch and torch.cuda.is_available():
        with contextlib.suppress(RuntimeError):  # after an error of the card
            torch.cuda.empty_cache()
