"""Run a solution cell in a namespace of its own, and hand over the component it defines."""

import ast
import linecache
import opcode
import sys
import sysconfig
import traceback
from collections.abc import Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

PACKAGE = "my_transformer"

# Where code lies that no answer holds: what is given, Python, what is installed, and ours.
NOT_THE_ANSWERS = (
    "<given",
    "<frozen",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[3]),
)


class AnswerRefused(Exception):
    """The cell gives no component that could be checked; the text says why and what to do."""


class NotAsAsked(Exception):
    """What came back is nothing that the observer can go on with; the text says what it is.

    The observer raises it, never the answer: a judge tells the text alone, as what it found.
    """


class NothingGiven(Exception):
    """What every submission is given cannot be run on this machine; no answer has been run."""


class ModulesInMemory(MetaPathFinder, Loader):
    """Makes `<package>.<name>` importable from sources held in memory."""

    def __init__(self, package: str, sources: Mapping[str, str]):
        self.package, self.sources = package, sources

    def find_spec(self, fullname, path=None, target=None):
        if fullname == self.package:
            return ModuleSpec(fullname, self, is_package=True)
        package, _, name = fullname.rpartition(".")
        is_there = package == self.package and name in self.sources
        return ModuleSpec(fullname, self) if is_there else None

    def exec_module(self, module):
        source = self.sources.get(module.__name__.rpartition(".")[2])
        if source is not None and module.__name__ != self.package:
            exec(compile(source, f"<given {module.__name__}>", "exec"), module.__dict__)


def load_answer(job: Mapping) -> object:
    """The component that the job's solution cell defines.

    The cell runs after the lesson's locked cells (`setup`) and the components before it
    (`earlier`), in a fresh namespace: what it needs of other cells must stand in its text.

    Raises:
        NothingGiven: a locked cell fails.
        AnswerRefused: the cell cannot be run on its own, or does not define the component.
    """
    if job.get("modules"):
        sys.meta_path.insert(0, ModulesInMemory(PACKAGE, job["modules"]))
    namespace = {"__name__": "answer"}
    try:
        for number, source in enumerate(job["setup"]):
            exec(compile(source, f"<given {number}>", "exec"), namespace)
    except Exception as error:
        raise NothingGiven(f"{type(error).__name__}: {short(error)}") from error
    for number, source in enumerate(job["earlier"], len(job["setup"])):
        exec(compile(source, f"<given {number}>", "exec"), namespace)
    namespace.pop(job["component"], None)
    return run_cell(job["answer"], job["component"], namespace)


def run_cell(source: str, component: str, namespace: dict) -> object:
    """Run one solution cell in `namespace`; the object it gives the component's name."""
    filename = f"<{component}>"
    try:
        tree = ast.parse(source, filename)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise AnswerRefused(_unreadable(source, error)) from None
    if any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(tree)):
        raise AnswerRefused(_NO_MAGICS)
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    try:
        exec(compile(tree, filename, "exec"), namespace)
    except NameError as error:
        raise AnswerRefused(foreign_name(error)) from None
    except (Exception, SystemExit) as error:
        raise AnswerRefused(
            f"running the cell raised {type(error).__name__}: {short(error)}{place(error)}"
        ) from None
    if component not in namespace:
        raise AnswerRefused(f"the cell does not define {component}: its name must stay as given")
    return namespace[component]


def foreign_name(error: NameError) -> str:
    """What to do about a name the cell uses and does not define."""
    return (
        f"the cell uses the name {error.name!r}, which neither a cell of yours nor the lesson's "
        "given cells define: define it in this cell"
    )


def describe_error(error: BaseException) -> dict:
    """An error as plain data: its class, the classes above it, its text and its place."""
    return {
        "type": type(error).__name__,
        "classes": [cls.__name__ for cls in type(error).__mro__],
        "message": short(error),
        "place": place(error),
        "refuses": refuses(error),
        "name": str(getattr(error, "name", "") or ""),
    }


def short(error: BaseException, limit: int = 300) -> str:
    """The error's own text on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its text cannot be shown)"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def place(error: BaseException) -> str:
    """Where in the solution cell an error arose: ` (line 3: x = y)`, or nothing."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith("<") and not frame.filename.startswith(("<given", "<frozen")):
            return f" (line {frame.lineno}: {_first_line(frame.line)})" if frame.line else ""
    return ""


def _first_line(line: str) -> str:
    """A line of code, with a sign where it opens a bracket that others close."""
    return line + "…" + {"(": ")", "[": "]", "{": "}"}[line[-1]] if line[-1] in "([{" else line


def refuses(error: BaseException) -> bool:
    """Does the error come from a `raise` or `assert` in the answer's own code?"""
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next:
        last = last.tb_next
    code = last.tb_frame.f_code
    is_theirs = not code.co_filename.startswith(NOT_THE_ANSWERS)
    return is_theirs and code.co_code[last.tb_lasti] == opcode.opmap["RAISE_VARARGS"]


_NO_MAGICS = (
    "the cell uses a magic or a shell line (% or !): the answer must be plain Python, "
    "so put such lines into a cell of their own"
)


def _unreadable(source: str, error: Exception) -> str:
    if any(line.lstrip().startswith(("%", "!")) for line in source.splitlines()):
        return _NO_MAGICS
    where = f" at line {error.lineno}: {error.text.strip()}" if getattr(error, "text", None) else ""
    return f"the cell is not Python: {short(getattr(error, 'msg', None) or error)}{where}"
