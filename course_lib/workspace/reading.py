"""What a piece of Python defines and imports, read without running it."""

from pathlib import Path

from course_lib.lessons.imports import imported_modules
from course_lib.lessons.package_text import definitions
from course_lib.parsing import parse

__all__ = ["definition_text", "definitions", "imported_modules"]


def definition_text(path: Path, name: str) -> str | None:
    """The text of what gives `name` its meaning in a module; None if nothing does."""
    try:
        text = path.read_text("utf-8")
        line = definitions(text).get(name)
    except (OSError, SyntaxError, ValueError):
        return None
    for node in parse(text).body:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        if line and first <= line <= node.end_lineno:
            return "\n".join(text.split("\n")[first - 1 : node.end_lineno])
    return None
