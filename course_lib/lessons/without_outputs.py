"""A saved notebook's text without its outputs, which are large and which nobody reads.

They are cut out of the text before it is parsed, so that 50 MB of pictures cost no memory, and
what a file is made to hold costs a bounded time.
"""

import re

MOST_PARTS = 4_000_000  # brackets and strings: some two seconds

_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_OPENS = re.compile(rb"\s*:\s*\[")
_OUTPUTS = b'"outputs"'


class TooManyParts(ValueError):
    """The text holds more brackets and strings than a notebook does."""


def without_outputs(content: bytes) -> bytes:
    """`content` with every list called "outputs" emptied; as it is where it is not JSON.

    Raises:
        TooManyParts: it has more than `MOST_PARTS` strings and brackets.
    """
    kept, kept_until, depth, was_outputs = [], 0, 0, -1
    for number, part in enumerate(_PART.finditer(content)):
        if number > MOST_PARTS:
            raise TooManyParts
        text = part[0]
        if depth:  # inside outputs
            depth += (text in b"[{") - (text in b"]}")
            if not depth:
                kept_until = part.start()
        elif text == _OUTPUTS:
            opens = _OPENS.match(content, part.end())
            was_outputs = opens.end() if opens else -1
        elif part.end() == was_outputs:
            kept.append(content[kept_until : part.end()])
            depth = 1
    return b"".join([*kept, content[kept_until:]]) if not depth else content
