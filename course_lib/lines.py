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


def fitted(text: str, width: int) -> str:
    """The text with its lines broken between words where a terminal would break them anywhere.

    What follows is set in as the line was, and a little more if it was. A line with a word wider
    than the terminal, such as a path, stays as it is: it can be copied whole.
    """
    lines = []
    for line in text.split("\n"):
        if len(line) <= width or max(map(len, line.split()), default=0) > width - 8:
            lines.append(line)
        else:
            indent = line[: len(line) - len(line.lstrip())]
            lines += wrapped(line, width, rest=indent and indent + "  ")
    return "\n".join(lines)
