"""What fails on the machine that grades, in a line: a full disk, a gradebook held fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CalledProcessError

from sqlalchemy.exc import SQLAlchemyError

from . import GradingError
from .results import printable


def in_words(error: Exception) -> str:
    """An error of ours in a line; of a database's, without the statement and all its values."""
    text = str(getattr(error, "orig", None) or error).strip()
    return printable(f"{type(error).__name__}: {text.partition(chr(10))[0]}")


@contextmanager
def told(what_stands: str) -> Iterator[None]:
    """Have what could not be read or written end in a sentence.

    Args:
        what_stands: what is so all the same, and what to do.

    Raises:
        GradingError: it could not.
    """
    try:
        yield
    except (SQLAlchemyError, CalledProcessError, OSError) as error:
        raise GradingError(
            f"something could not be read or written ({in_words(error)}). {what_stands}"
        ) from None
