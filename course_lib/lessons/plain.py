"""Plain text, such as a docstring or the title of a bug, on a page of Markdown."""

import re


def plain(text: str) -> str:
    """`text` as Markdown that shows it as it is; what stands in backticks stays code.

    >>> plain("`a_b` is not a_b")
    '`a_b` is not a\\\\_b'
    """
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([\\*_{}\[\]<>$#|~^&])", r"\\\1", piece)
        for piece in pieces
    )
