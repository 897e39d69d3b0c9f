"""What a record depends on: all code that made it, and nothing besides.

Of each module that is the definitions an experiment reaches, however far, of this package and of
its page; comments, docstrings and layout are left out. So a claim can be worded anew, a page's
prose mended, another component changed, and the record stays; a change of anything that ran asks
for a new one.
"""

import ast
import hashlib
import inspect
from functools import cache
from pathlib import Path

from course_lib.lessons.needed import needed
from course_lib.lessons.statements import Statement, statements_of
from course_lib.parsing import parse

from .experiment import Experiment
from .page_code import BOOK, page_text

PACKAGE = Path(__file__).resolve().parents[1]


def fingerprint(experiment: Experiment, book: Path = BOOK) -> str:
    """A few letters that change when the experiment has to be run again."""
    text = page_text(experiment.lesson, experiment.uses, book)
    parts = {
        "page": _bare(text),
        "arms": repr({name: dict(arm) for name, arm in experiment.arms.items()}),
    }
    reached: dict[tuple[Path, str], str] = {}
    _reach_imports(text, None, reached)
    _reach(Path(inspect.getfile(experiment.run)), experiment.run.__name__, reached)
    for (path, name), body in reached.items():
        parts[f"{'/'.join(path.parts[-3:])} {name}"] = body
    for name in experiment.bugs:
        from course_lib.bugs import find_bug

        parts[f"bug {name}"] = _bare(find_bug(name).source)
    whole = "\n\n".join(f"{key}\n{parts[key]}" for key in sorted(parts))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _reach(path: Path, name: str, reached: dict[tuple[Path, str], str]) -> None:
    """Add what `name` of the module at `path` is made of, and what that imports from here."""
    if (path, name) in reached:
        return
    statements = _statements(path)
    if any(name in statement.defines for statement in statements):
        text = needed(name, 0, [list(statements)], frozenset()).text
    elif handed_on := [s.text for s in statements if name in s.binds]:
        text = "\n".join(handed_on)  # an import
    else:
        text = path.read_text("utf-8")
    reached[path, name] = _bare(text)
    _reach_imports(text, path, reached)


def _reach_imports(text: str, path: Path | None, reached: dict[tuple[Path, str], str]) -> None:
    """Follow what `text`, of the module at `path`, imports of this package."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ImportFrom):
            base = _module_of(node, path)
            if base is None:
                continue
            for alias in node.names:
                if (inner := _file(base / alias.name)) is not None:
                    _reach(inner, "", reached)
                elif (file := _file(base)) is not None:
                    _reach(file, alias.name, reached)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                if first == "course_lib" and (file := _file(PACKAGE.joinpath(*rest))):
                    _reach(file, "", reached)


def _module_of(node: ast.ImportFrom, path: Path | None) -> Path | None:
    """Where the module lies that is imported from, without ending; None if it is not ours."""
    words = (node.module or "").split(".") if node.module else []
    if node.level:
        return path.parents[node.level - 1].joinpath(*words) if path else None
    return PACKAGE.joinpath(*words[1:]) if words[:1] == ["course_lib"] else None


def _file(base: Path) -> Path | None:
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _statements(path: Path) -> tuple[Statement, ...]:
    return tuple(statements_of(path.read_text("utf-8")))


def _bare(text: str) -> str:
    """A program without what makes no difference when it runs."""
    tree = parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [s for s in node.body if not _is_text(s)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
