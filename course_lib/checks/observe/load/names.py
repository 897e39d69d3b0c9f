"""Which names of torch and NumPy stand in a text, by way of its imports and what it renames.

It is read, not run: so nothing in it can hide what it says, and what it says may never be called.
"""

import ast
from collections.abc import Iterator

LIBRARIES = ("torch", "numpy", "scipy")
MOST_NAMES = 500

# What a lesson's given cells import.
_GIVEN = {
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "np": "numpy",
    "Tensor": "torch.Tensor",
}
_ROUNDS = 4  # of renaming: what a name stands for may itself be renamed


def library_names(source: str) -> list[str]:
    """Full names of what `source` uses of a library, such as `torch.nn.functional.gelu`.

    >>> library_names("from torch.nn import functional as G\\ny = getattr(G, 'ge' + 'lu')(x)")
    ['torch.nn.functional.gelu']
    """
    try:
        reader = _Reader(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return sorted(reader.found)[:MOST_NAMES]


class _Reader:
    def __init__(self, tree: ast.AST, known: dict[str, str] | None = None):
        self.known, self.found = dict(known or _GIVEN), set()
        self.star: list[str] = []
        nodes = list(ast.walk(tree))
        for node in nodes:
            self._import(node)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        self.own = {node.name for node in nodes if isinstance(node, kinds)}
        for name in self.own:
            self.known.pop(name, None)
        for _ in range(_ROUNDS):
            for node in nodes:
                self._rename(node)
        self._visit(tree)

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if alias.name == "*":
                    self.star.append(node.module)
                else:
                    self.known[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def _rename(self, node: ast.AST) -> None:
        """`name = something of a library`, also where several are named at once."""
        for target, value in _bindings(node):
            if isinstance(target, ast.Name) and (full := self.full_name(value)):
                self.known[target.id] = full

    def _visit(self, node: ast.AST) -> None:
        if full := self.full_name(node):  # of `a.b.c` the whole counts, not its beginnings
            if full.partition(".")[0] in LIBRARIES:
                self.found.add(full)
            return
        if isinstance(node, ast.Call) and _name(node.func) in ("eval", "exec", "compile"):
            self._read_inside(node)
        hints = [getattr(node, name, None) for name in ("annotation", "returns")]
        for child in ast.iter_child_nodes(node):
            if child not in hints:  # a type is no use of it
                self._visit(child)

    def _read_inside(self, call: ast.Call) -> None:
        text = _text(call.args[0]) if call.args else None
        if text is not None:
            try:
                self.found |= _Reader(ast.parse(text), self.known).found
            except (SyntaxError, ValueError):
                return

    def full_name(self, node: ast.AST) -> str | None:
        """What an expression stands for, by its full name; None where that is not plain."""
        match node:
            case ast.Name(id=name) if isinstance(node.ctx, ast.Load):
                if name in self.known:
                    return self.known[name]
                if self.star and name not in self.own:
                    return f"{self.star[-1]}.{name}"
            case ast.Attribute(value=value, attr=attr):
                return self._part(value, attr)
            case ast.Call(func=ast.Name(id="getattr"), args=[value, name, *_]):
                return self._part(value, _text(name))
            case ast.Call(func=ast.Name(id="__import__"), args=[name, *_]):
                return (_text(name) or "").partition(".")[0] or None
            case ast.Call(func=function, args=[name, *_]) if (
                _name(function) == "import_module" or self.full_name(function) == "importlib"
            ):
                return _text(name)
            case ast.Subscript(value=ast.Attribute(value=value, attr="__dict__"), slice=name):
                return self._part(value, _text(name))
            case ast.Subscript(value=ast.Call(func=ast.Name(id="vars"), args=[value]), slice=name):
                return self._part(value, _text(name))
        return None

    def _part(self, whole: ast.AST, name: str | None) -> str | None:
        base = self.full_name(whole)
        return f"{base}.{name}" if base and name else None


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    yield from zip(target.elts, value.elts, strict=False)
                else:
                    yield target, value
        case ast.AnnAssign(target=target, value=value) if value:
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value


def _name(function: ast.AST) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _text(node: ast.AST) -> str | None:
    """A string that stands there, whole or in pieces."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined("", [left, right])
        case ast.JoinedStr(values=values):
            return _joined("", values)
        case ast.FormattedValue(value=value):
            return _text(value)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
            args=[ast.List(elts=pieces) | ast.Tuple(elts=pieces)],
        ):
            return _joined(between, pieces)
    return None


def _joined(between: str, pieces: list[ast.AST]) -> str | None:
    texts = [_text(piece) for piece in pieces]
    return None if None in texts else between.join(texts)
