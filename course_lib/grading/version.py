"""The version of what gives a verdict: one hash of the code that judge and observer load."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ..parsing import parse

PACKAGE = Path(__file__).resolve().parents[1]

# Where judging and observing begin; what they import is found by reading them.
ENTRIES = ("grading/judging.py", "grading/sandbox.py", "checks/observe/serve.py")
READ_AS_TEXT = "transformer"  # given to submissions, module by module, without an import


@cache
def checks_version() -> str:
    """The version of the checks, as it stands in results, releases and `run.json`."""
    return version_of(PACKAGE)


def version_of(package: Path) -> str:
    """A short hash of every file of `package` that a verdict depends on."""
    digest = hashlib.sha256()
    for path in files_of_verdict(package):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def files_of_verdict(package: Path) -> list[Path]:
    """The files of `package` that are loaded, or given away as text, for a verdict."""
    found: set[Path] = set()
    left = [*(package / entry for entry in ENTRIES), *(package / READ_AS_TEXT).glob("*.py")]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += _loaded_by(path, package)
    return sorted(found)


def _loaded_by(path: Path, package: Path) -> Iterator[Path]:
    """What a module imports of ours, at its top or inside a function, and the packages around it.

    A house that imports modules by a name which it computes counts as a whole.
    """
    within = path.relative_to(package).parts
    yield from _files(within[:-1], package)
    for node in ast.walk(parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield from (package / within[0]).rglob("*.py")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _ours(tuple(alias.name.split(".")), package)
        elif isinstance(node, ast.ImportFrom):
            here = (package.name, *within[:-1])
            base = here[: len(here) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield from _ours((*base, alias.name), package)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _ours(name: tuple[str, ...], package: Path) -> Iterator[Path]:
    if name[0] == package.name:
        yield from _files(name[1:], package)


def _files(within: tuple[str, ...], package: Path) -> Iterator[Path]:
    """The files that importing a module loads: its own, and the `__init__` of each package."""
    for end in range(len(within) + 1):
        folder = package.joinpath(*within[:end])
        for path in (folder / "__init__.py", folder.with_suffix(".py")):
            if path.is_file():
                yield path
