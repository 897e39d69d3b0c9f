"""How far a build of the book is, in a line for each page that is read, run or written."""

import re

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_STEP = re.compile(r"(reading sources|writing output)\.\.\. (\[ *\d+%\]) (\S+)")
_RAN = re.compile(r"Executed notebook in ([\d.]+) seconds")
_NOISE = re.compile(r"Kernel is running over TCP without encryption")  # nobody else hears it


def progress(line: str) -> str | None:
    """What a line of Sphinx's says about a page; None where it speaks of other things.

    >>> progress("reading sources... [ 50%] 02_self_attention")
    '[ 50%] reading 02_self_attention'
    >>> progress("/book/02_self_attention.md: Executed notebook in 3.44 seconds [mystnb]")
    '       its cells ran in 3.4 s'
    >>> progress("copying images... [100%] picture.png")
    """
    line = _COLOUR.sub("", line)
    if step := _STEP.search(line):
        what, share, page = step.groups()
        return f"{share} {what.split()[0]} {page}"
    if ran := _RAN.search(line):
        return f"       its cells ran in {float(ran[1]):.1f} s"
    return None


def complaints(text: str) -> str:
    """The warnings and errors of a build, without what a kernel says of itself."""
    lines = _COLOUR.sub("", text).splitlines()
    return "\n".join(line for line in lines if line.strip() and not _NOISE.search(line))
