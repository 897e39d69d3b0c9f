"""The components' source, read as text: what the notebooks and pages show is what runs.

Nothing here imports the model. A module is split into what a learner writes (its public
functions and classes) and what is given (imports, constants, dataclasses, private helpers).
"""

import ast
import re
import textwrap
from functools import cache
from pathlib import Path

from course_lib.lines import wrapped
from course_lib.parsing import parse

TRANSFORMER = Path(__file__).resolve().parent.parent / "transformer"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
COLUMNS = 76  # of a line of code on a page or in a notebook; `tests/test_columns.py` holds it


def module_source(module: str) -> str:
    """The text of `course_lib/transformer/<module>.py`."""
    return (TRANSFORMER / f"{module}.py").read_text(encoding="utf-8")


def module_summary(module: str) -> str:
    """What a module's docstring says, without the number of its lesson."""
    words = ast.get_docstring(_tree(module_source(module))).partition(": ")[2]
    return words[0].upper() + words[1:]


def component_source(module: str, name: str) -> str:
    """The text of one public function or class, decorators and docstring included."""
    return _text(module, _definitions(module)[name])


def definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    """The syntax tree of one public function or class, for the caller to keep and to change."""
    return _tree(component_source(module, name)).body[0]


def component_names(module: str) -> list[str]:
    """The public functions and classes of a module, in the order in which they stand.

    A dataclass only holds values: it is no component, and learners are given it.
    """
    return [
        name
        for name, node in _definitions(module).items()
        if not name.startswith("_") and not _is_dataclass(node)
    ]


def dataclass_names(module: str) -> list[str]:
    """The dataclasses of a module, which learners are given."""
    return [name for name, node in _definitions(module).items() if _is_dataclass(node)]


def given_source(module: str) -> str:
    """What a module holds besides its components, as a learner's notebook needs it."""
    public = component_names(module)
    given = [
        node
        for node in _tree(module_source(module)).body
        if not _is_docstring(node) and getattr(node, "name", None) not in public
    ]
    lines = []
    for node in given:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            lines += ["", ""]
        lines.append(_text(module, node))
    return to_learner("\n".join(lines))


def with_solution_markers(source: str, sentence: str = "", given: tuple[str, ...] = ()) -> str:
    """`source` with each body that a learner writes between nbgrader's solution markers.

    A signature, its docstring and `super().__init__()` stand outside them, and so do methods
    named in `given`. The sentence becomes a comment above the first marker.
    """
    definition = _tree(source).body[0]
    if isinstance(definition, ast.ClassDef):
        bodies = [
            node
            for node in definition.body
            if isinstance(node, ast.FunctionDef) and node.name not in given
        ]
    else:
        bodies = [definition]
    lines = source.splitlines()
    for number, function in reversed(list(enumerate(bodies))):
        first, last = _written_lines(function)
        indent = " " * (function.col_offset + 4)
        comment = _comment(sentence, indent) if number == 0 else []
        body = [*comment, indent + BEGIN, *lines[first - 1 : last], indent + END]
        lines[first - 1 : last] = body
    return "\n".join(lines)


def stub(source: str, sentence: str = "", given: tuple[str, ...] = ()) -> str:
    """What the learner starts from: `with_solution_markers` with the solutions taken out."""
    marked = with_solution_markers(source, sentence, given)
    region = re.compile(rf"^( *){BEGIN}\n.*?^ *{END}$", re.MULTILINE | re.DOTALL)
    return region.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", marked)


def to_learner(source: str) -> str:
    """Imports of our package as imports of the learner's."""
    source = re.sub(r"^(\s*from )\.(?=\w)", r"\1my_transformer.", source, flags=re.MULTILINE)
    return source.replace("course_lib.transformer", "my_transformer")


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    tree = _tree(module_source(module))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds)}


def _is_dataclass(node: ast.stmt) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _tree(source: str) -> ast.Module:
    return parse(textwrap.dedent(source))


def _text(module: str, node: ast.stmt) -> str:
    first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]])
    return "\n".join(module_source(module).splitlines()[first - 1 : node.end_lineno])


def _written_lines(function: ast.FunctionDef) -> tuple[int, int]:
    """First and last line of what a learner writes of a function."""
    body = list(function.body)
    while len(body) > 1 and (
        _is_docstring(body[0]) or ast.unparse(body[0]) == "super().__init__()"
    ):
        body = body[1:]
    return body[0].lineno, function.end_lineno


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _comment(sentence: str, indent: str) -> list[str]:
    return wrapped(sentence, COLUMNS, first=f"{indent}# ", rest=f"{indent}# ")
