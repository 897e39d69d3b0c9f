"""The right code, as the bugs see it: the components' source without their docstrings."""

import ast
import inspect
from functools import cache
from importlib import import_module
from types import ModuleType

from course_lib.parsing import parse
from course_lib.transformer import MODULES


def reference_module(module: str) -> ModuleType:
    """The module of `course_lib.transformer` of that name."""
    return import_module(f"course_lib.transformer.{module}")


@cache
def modules_of_components() -> dict[str, str]:
    """The module of each public function and class of the model, by its name."""
    return {
        name: module
        for module in MODULES
        for name, value in vars(reference_module(module)).items()
        if getattr(value, "__module__", "") == f"course_lib.transformer.{module}"
    }


@cache
def reference_source(component: str) -> str:
    """The right component's source, without its docstrings."""
    reference = getattr(reference_module(modules_of_components()[component]), component)
    return without_docstrings(inspect.getsource(reference))


def docstring_of(component: str) -> str:
    """The right component's docstring, which is its contract."""
    reference = getattr(reference_module(modules_of_components()[component]), component)
    return inspect.getdoc(reference)


@cache
def returned_by(component: str) -> str:
    """What the signature says comes back, of a module that of `forward`; empty where it is silent.

    >>> returned_by("split_heads")
    'Float[Tensor, "... H T D"]'
    """
    if component not in modules_of_components():
        return ""
    (node,) = parse(reference_source(component)).body
    if isinstance(node, ast.ClassDef):
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        node = next((one for one in methods if one.name == "forward"), None)
    if node is None or node.returns is None:
        return ""
    return ast.unparse(node.returns).replace("'", '"').replace('" ', '"')


def without_docstrings(source: str) -> str:
    """The source of a function or class without its docstrings."""
    lines, dropped = source.splitlines(), set()
    for node in ast.walk(parse(source)):
        if (
            isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            docstring = node.body[0]
            dropped |= set(range(docstring.lineno - 1, docstring.end_lineno))
            after = lines[docstring.end_lineno : docstring.end_lineno + 1]
            if after and not after[0].strip():
                dropped.add(docstring.end_lineno)
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)


def names_used(source: str) -> set[str]:
    """The names that a function or class reads or writes."""
    return {node.id for node in ast.walk(parse(source)) if isinstance(node, ast.Name)}
