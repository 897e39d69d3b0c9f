"""A learner's package as it lies on disk, read as text; and what its modules may borrow.

It was handed in by someone who wants points: only regular files `*.py` at its top are read, up to
a size, no link is followed, and whatever else lies there is not looked at.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from course_lib.own_files import Unreadable, bytes_of, lies_there, names_in
from course_lib.parsing import parse

from .source import TRANSFORMER, component_names, given_source, module_source, to_learner

PACKAGE = "my_transformer"
MAX_FILES = 64
MAX_MODULE_BYTES = 200_000
MAX_PACKAGE_BYTES = 1_000_000

# What a model, its training and its text are made of: the capstone is about these.
PARTS = {
    "tokens": ("CharTokenizer", "Embeddings"),
    "masking": ("causal_mask", "masked_softmax", "masked_attention"),
    "multihead": ("split_heads", "merge_heads", "MultiHeadAttention"),
    "norm": ("layer_norm", "LayerNorm"),
    "mlp": ("gelu", "MLP"),
    "block": ("Block",),
    "model": ("init_weights", "GPT", "n_parameters"),
    "training": (
        *("next_token_loss", "get_batch", "learning_rate", "decay_groups", "train_step"),
        "evaluate",
    ),
    "generation": ("keep_top_k", "keep_top_p", "sample", "generate"),
    "cache": ("KVCache", "cached_attention", "cached_logits", "generate_cached"),
}

# What `my_transformer/*.py` import from us, and which packages of ours are not there in class.
BORROW_FROM = "course_lib.workspace.borrow"
ABSENT = ("course_lib", "observe")


@dataclass(frozen=True)
class PackageText:
    """The text of each module of a package, or the reason why there is none."""

    modules: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def read_package(folder: Path, *, top: Path | None = None) -> PackageText:
    """The modules of the package in `folder`; a reason says what is wrong with it.

    Args:
        top: where a class's submissions lie: below it no link is followed.

    Raises:
        OSError: the machine failed, whatever lies there.
    """
    if not lies_there(folder, top=top or folder.parent):
        return PackageText(reason=f"there is no folder {PACKAGE} beside the notebook")
    try:
        return PackageText(_modules(folder, top))
    except Unreadable as reason:
        return PackageText(reason=str(reason))


def _modules(folder: Path, top: Path | None) -> dict[str, str]:
    try:
        names = names_in(folder, top=top or folder.parent)
    except Unreadable as reason:
        raise Unreadable(f"{PACKAGE} cannot be read: {reason}") from None
    names = [name for name in names if re.fullmatch(r"[A-Za-z_]\w*\.py", name, re.A)]
    if len(names) > MAX_FILES:
        raise Unreadable(f"{PACKAGE} holds {len(names)} modules, more than {MAX_FILES}")
    found, left = {}, MAX_PACKAGE_BYTES
    for name in names:
        try:
            content = bytes_of(folder / name, MAX_MODULE_BYTES, top=top)
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable(f"{PACKAGE}/{name} is not text in UTF-8") from None
        except Unreadable as reason:
            raise Unreadable(f"{PACKAGE}/{name} cannot be read: {reason}") from None
        left -= len(content)
        if left < 0:
            raise Unreadable(f"{PACKAGE} holds more than {MAX_PACKAGE_BYTES:,} bytes of Python")
        found[name.removesuffix(".py")] = text
    return found


def as_job(modules: dict[str, str], *, has_model: bool = True) -> dict:
    """What `observe/load/package.py` needs to run a package of these modules."""
    return {
        "sources": modules,
        "given": given_modules(),
        "borrow_from": BORROW_FROM,
        "absent": list(ABSENT),
        "has_model": has_model,
    }


@cache
def given_modules() -> dict[str, dict]:
    """For each module of the course, its components and the text of what it holds besides them."""
    given = {}
    for path in sorted(TRANSFORMER.glob("*.py")):
        module, names = path.stem, component_names(path.stem)
        source = given_source(module) if names else to_learner(module_source(module))
        given[module] = {"components": names, "source": source}
    return given


def module_of(component: str) -> str:
    """The module of the course that `component` stands in."""
    found = (m for m, given in given_modules().items() if component in given["components"])
    return next(found)


def our_package() -> dict[str, str]:
    """A package that borrows nothing: the finished modules, as a learner's."""
    return {path.stem: to_learner(module_source(path.stem)) for path in TRANSFORMER.glob("*.py")}


def borrowed_parts(modules: Mapping[str, str]) -> list[str]:
    """Which of `PARTS` a package does not define, in the order of the lessons."""
    return missing_parts(defined_parts(modules))


def missing_parts(own: Mapping[str, Collection[str]]) -> list[str]:
    """Which of `PARTS` are not among what each module defines, in the order of the lessons."""
    return [
        name for module, names in PARTS.items() for name in names if name not in own.get(module, ())
    ]


def defined_parts(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """The names that each module of a package defines; none where it is not Python."""
    defined = {}
    for module, text in modules.items():
        try:
            defined[module] = set(definitions(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            defined[module] = set()
    return defined


def definitions(source: str | bytes) -> dict[str, int]:
    """The names that `source` itself gives a meaning at its top level, in order, with their lines.

    A def, a class or an assignment does; an import does not, for what is imported was written
    elsewhere. Of two definitions of a name the later one counts.

    Raises:
        SyntaxError: `source` is not Python.
    """
    lines = {}
    for node in _top_level(parse(source).body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            lines[node.name] = node.lineno
        elif isinstance(node, ast.Assign):
            targets = {name for target in node.targets for name in _stored(target)}
            lines |= dict.fromkeys(targets, node.lineno)
        elif isinstance(node, ast.AnnAssign) and node.value:
            lines |= dict.fromkeys(_stored(node.target), node.lineno)
    return lines


def _top_level(statements: list) -> Iterator[ast.AST]:
    """The statements of a module in order, those inside `if`, `try`, `with` and loops too."""
    for node in statements:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for field in ("body", "handlers", "orelse", "finalbody"):
                yield from _top_level(getattr(node, field, []))


def _stored(target: ast.expr) -> set[str]:
    return {
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
