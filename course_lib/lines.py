"""How long a line of a message is, and where it breaks: between words, never inside one."""

import textwrap

FIRST_LINE = 67  # nbgrader cuts longer lines of a traceback
OTHER_LINES = 76  # so many fit a page of the book
LONGEST_LINE = 83  # so many of a later line nbgrader passes on


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """The lines of `text`, of at most `width` characters.

    A name with a hyphen ("warm-up") stays whole: whoever searches for it finds it.

    Args:
        first: what the first line begins with.
        rest: what the others begin with.
    """
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
