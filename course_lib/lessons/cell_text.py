"""From a cell as it was typed to Python: without what only a notebook understands.

A line of its own that begins with `%` or `!`, a question such as `softmax?`, and a first line such
as `%%time` are nothing to an answer, and are left out. A magic that is part of a statement
(`files = !ls`) is not: such a cell is not Python.
"""

import ast
import re
import textwrap

from course_lib.parsing import parse

# The magics whose cell runs here and defines what it defines.
_TRANSPARENT = re.compile(r"%%(time|capture|prun)\b")
_NOTEBOOK_LINE = re.compile(r"[ \t]*[%!?]|[ \t]*[\w.]+\?\??[ \t]*$")
_UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

NO_MAGICS = (
    "the cell uses a magic or a shell line (% or !) that cannot be left out: the answer must be "
    "plain Python, so put such lines into a cell of their own"
)


class NotPython(ValueError):
    """A cell that is not Python; the text says why, as a sentence goes on after "the cell"."""


def python_of(typed: str) -> str:
    """The Python of a cell.

    Raises:
        NotPython: it is none.
    """
    text = typed.replace("\r\n", "\n").replace("\r", "\n")
    body = text.lstrip()
    while _TRANSPARENT.match(body):
        body = text = body.partition("\n")[2]
    if body.startswith("%%"):
        raise NotPython(f"is a {body.split()[0]} cell: an answer must be plain Python")
    text = _as_ipython_dedents(text)
    problem = _problem(text)
    if problem is None:
        return text
    kept = [line for line in text.split("\n") if not _NOTEBOOK_LINE.match(line)]
    shorter = _as_ipython_dedents("\n".join(kept))
    if shorter != text:
        problem = _problem(shorter)
        if problem is None:
            return shorter
    raise NotPython(_said(shorter, problem))


def claims(typed: str, name: str) -> bool:
    """Does the text of a cell, be it Python or not, begin a definition of `name`?"""
    begins = rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*(?::[^=\n]*)?=(?!=)"
    return re.search(begins, typed, re.MULTILINE) is not None


def is_second_half(typed: str) -> bool:
    """Does a cell begin as a line that belongs to the cell before?"""
    return re.match(r"(?:[ \t]*(?:#.*)?\n)*[ \t]+[^\s#]", typed) is not None


def _as_ipython_dedents(text: str) -> str:
    """What IPython runs where a whole cell is indented."""
    return textwrap.dedent(text) if text.strip("\n")[:1] in (" ", "\t") else text


def _problem(text: str) -> Exception | None:
    try:
        tree = parse(text)
        if any(isinstance(node, ast.Return) for node in _outside_functions(tree)):
            return SyntaxError("'return' outside function")
    except _UNPARSABLE as error:
        return error
    return None


def _outside_functions(tree: ast.AST):
    left = [tree]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            left += ast.iter_child_nodes(node)


def _said(text: str, error: Exception) -> str:
    if any(re.match(r"\s*[%!]|.*=\s*[%!]", line) for line in text.splitlines()):
        return NO_MAGICS.removeprefix("the cell ")
    line = getattr(error, "text", None)
    where = f" at line {error.lineno}: {line.strip()[:80]}" if line else ""
    reason = " ".join(str(getattr(error, "msg", None) or error).split()) or type(error).__name__
    return f"is not Python: {reason[:200]}{where}"
