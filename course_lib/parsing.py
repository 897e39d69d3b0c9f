"""The one place outside the wall where text becomes a syntax tree.

CPython counts the depth of all trees that it makes in one number for all threads, and where two
threads make one at a time it may find that number wrong (`SystemError`). So here one thread parses
at a time; and since other libraries parse as well, one that was disturbed is asked again.
"""

import ast
import threading

TRIES = 5

_one_at_a_time = threading.Lock()


def parse(source: str | bytes, *, mode: str = "exec") -> ast.AST:
    """The syntax tree of `source`, as `ast.parse` makes it.

    Raises:
        SyntaxError: it is not Python. `ValueError`, `RecursionError` and `MemoryError` say so too.
    """
    with _one_at_a_time:
        for _ in range(TRIES - 1):
            try:
                return ast.parse(source, mode=mode)
            except SystemError:
                continue
        return ast.parse(source, mode=mode)
