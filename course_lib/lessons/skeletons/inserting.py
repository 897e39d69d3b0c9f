"""Into a text that exists: imports, a section at its end, an entry in a list, cells of a lesson."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from course_lib.parsing import parse

from ..text import LessonError


def with_imports(source: str, imports: list[str]) -> str:
    """`source` with these imports below its own; `tidied` puts them in order."""
    body = parse(source).body
    last = max(
        (node.end_lineno for node in body if isinstance(node, (ast.Import, ast.ImportFrom))),
        default=body[0].end_lineno,  # the docstring
    )
    lines = source.splitlines()
    blank = [] if lines[last - 1 : last] and "import" in lines[last - 1] else [""]
    return "\n".join([*lines[:last], *blank, *imports, *lines[last:]]) + "\n"


def with_section(source: str, name: str, text: str) -> str:
    """`source` with a section at its end, under a heading where the others have one."""
    headings = re.findall(r"^# --- .+$", source, re.MULTILINE)
    heading = ""
    if headings:
        is_ruled = headings[-1].endswith("-----")
        heading = (
            f"# --- {name} ".ljust(len(headings[-1]), "-") if is_ruled else f"# --- {name} ---"
        )
        heading += "\n\n\n"
    return source.rstrip("\n") + "\n\n\n" + heading + text.strip("\n") + "\n"


def with_entry(source: str, entry: str) -> str:
    """`source` with one more entry at the end of its tuple `CHECKS`."""
    return re.sub(
        r"^(CHECKS = \(\n(?:    .*\n)*)\)", rf"\1    {entry},\n)", source, flags=re.MULTILINE
    )


def with_cells(lesson: str, last: str, cells: str) -> str:
    """A lesson's text with `cells` below the check of the component `last`."""
    check = re.search(rf"^check\({re.escape(last)}\)\n```\n", lesson, re.MULTILINE)
    if check is None:
        raise LessonError(f"the lesson has no cell `check({last})` for the new ones to follow.")
    return lesson[: check.end()] + "\n" + cells.strip("\n") + "\n" + lesson[check.end() :]


def has_ruff() -> bool:
    """Is ruff installed, which orders the imports of what is written?"""
    return importlib.util.find_spec("ruff") is not None


def tidied(source: str, path: Path) -> str:
    """`source` with its imports in order and its lines broken, as it must be in this file."""
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"],
            input=source, capture_output=True, text=True, check=True, encoding="utf-8",
        )  # fmt: skip
        source = done.stdout
    return source
