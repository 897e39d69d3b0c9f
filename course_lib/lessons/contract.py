"""What a component must do, read from its signature and docstring, where alone it stands."""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, replace

from course_lib.parsing import parse

from .package_text import module_of
from .source import definition

_HEADINGS = ("Args", "Returns", "Raises")
_NUMBERS = {"Float": "floats", "Int": "integers", "Bool": "booleans"}


@dataclass(frozen=True)
class Docstring:
    """A docstring, taken apart. Its first paragraph says what comes out."""

    paragraphs: tuple[str, ...]
    arguments: dict[str, str]
    returns: str
    errors: dict[str, str]


@dataclass(frozen=True)
class Contract:
    """A function, a class or a method, as others see it."""

    name: str
    signature: str  # with its parentheses: names and defaults alone
    parameters: dict[str, str]  # what each is, in words and shapes; empty where nothing is said
    result: str  # the same, of what comes back
    docstring: Docstring
    base: str | None = None  # of a class: what it is a kind of, or ""
    methods: tuple["Contract", ...] = ()

    @property
    def is_class(self) -> bool:
        return self.base is not None


def read_contract(module: str, name: str) -> Contract:
    """The contract of a component, or of a dataclass that is given beside them."""
    node = definition(module, name)
    if isinstance(node, ast.FunctionDef):
        return _contract(node, node.args)
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    return replace(
        _contract(node, _arguments_of_class(node)),
        base=", ".join(ast.unparse(base) for base in node.bases),
        methods=tuple(
            _contract(method, _without_self(method))
            for method in methods
            if not method.name.startswith("_")
        ),
    )


def read_docstring(text: str) -> Docstring:
    """The parts of a docstring written as CONTRIBUTING.md asks.

    >>> read_docstring("The sum.\\n\\nRaises:\\n    ValueError: it is\\n        too large.").errors
    {'ValueError': 'it is too large.'}
    """
    paragraphs, found = [], dict.fromkeys(_HEADINGS, "")
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        heading, _, rest = block.partition("\n")
        if heading.removesuffix(":") in _HEADINGS:
            found[heading.removesuffix(":")] = textwrap.dedent(rest)
        else:
            paragraphs.append(block)
    return Docstring(
        tuple(paragraphs),
        _entries(found["Args"]),
        " ".join(found["Returns"].split()),
        _entries(found["Raises"]),
    )


def in_words(annotation: ast.expr | None) -> str:
    """What an annotation says, with shapes as the lessons write them.

    >>> in_words(ast.parse('Float[Tensor, "... T D"] | None', mode="eval").body)
    'tensor of floats `(..., T, D)`, or None'
    """
    match annotation:
        case None:
            return ""
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return f"{in_words(left)}, or None"
        case ast.Subscript(
            value=ast.Name(id=kind), slice=ast.Tuple(elts=[of, ast.Constant(value=shape)])
        ) if kind in _NUMBERS:
            container = "tensor" if ast.unparse(of) == "Tensor" else "NumPy array"
            return f"{container} of {_NUMBERS[kind]} `{_shape(shape)}`"
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)) if any(
            isinstance(part, ast.Subscript) for part in parts
        ):
            return _together([in_words(part) for part in parts])
        case ast.Constant(value=None):
            return "None"
    return f"`{ast.unparse(annotation)}`"


def _together(things: list[str]) -> str:
    """Several things that come back at once; of one kind, they need its name once.

    >>> _together(["tensor of floats `(T, E)`", "tensor of floats `(T, S)`"])
    'tensors of floats `(T, E)` and `(T, S)`'
    """
    kinds = {thing.partition("`")[0] for thing in things}
    if len(kinds) > 1:
        return " and ".join(things)
    (kind,) = kinds
    shapes = " and ".join(thing.removeprefix(kind) for thing in things)
    return kind.replace("tensor", "tensors").replace("array", "arrays") + shapes


def _entries(section: str) -> dict[str, str]:
    """The entries of `Args` or `Raises`: `name: text`, further lines indented."""
    entries = re.split(r"\n(?! )", section) if section else []
    named = (entry.partition(": ") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in named}


def _shape(annotation: str) -> str:
    axes = [axis.replace("_plus_", " + ") for axis in annotation.split()]
    alone = "," if len(axes) == 1 and axes != ["..."] else ""
    return f"({', '.join(axes)}{alone})"


def _contract(node: ast.FunctionDef | ast.ClassDef, arguments: ast.arguments) -> Contract:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    parameters = {argument.arg: in_words(argument.annotation) for argument in named}
    for argument in named:
        argument.annotation = None
    return Contract(
        name=node.name,
        signature=f"({ast.unparse(arguments)})",
        parameters=parameters,
        result=in_words(getattr(node, "returns", None)),
        docstring=read_docstring(ast.get_docstring(node, clean=False)),
    )


def _arguments_of_class(node: ast.ClassDef) -> ast.arguments:
    """What a class is made from: its own `__init__`, its fields, or what its base class takes."""
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    if fields:  # a dataclass
        written = ", ".join(ast.unparse(field) for field in fields)
        return parse(f"def made_from({written}): ...").body[0].args
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _without_self(part)
    base = ast.unparse(node.bases[0])
    return _arguments_of_class(definition(module_of(base), base))


def _without_self(method: ast.FunctionDef) -> ast.arguments:
    arguments = method.args
    arguments.args = arguments.args[1:]
    return arguments
