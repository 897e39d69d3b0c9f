"""The zoo: faulty implementations, kept so that a check can name a learner's mistake.

A bug is the right code with one misconception in it. So it is written as what it changes:

    bugs(\"\"\"softmax:

    always_uses_the_last_axis
        axis is ignored, the last axis is always used
        believed: Softmax always runs over the last axis, so the argument can be left aside. The
            last axis is only the default: axis says which one.
        seen: Right by default; with axis=0 it is the rows that sum to 1, not the columns.
        reported: owner/repo#1
        + axis = -1
        = shifted = x - x.max(axis=axis, keepdims=True)

    sums_without_keepdims
        …
    \"\"\")

First the component of all that follow. Then, for each bug, its own name at the margin; its title,
which completes "agrees with: …" for the learner; what the writer believed, and then what is so
instead, for a learner reads it behind "perhaps you thought: …"; what one sees of it; public threads
where the same mistake was reported, if there are any; and the change to the component's source
(see `changes.py`). Docstrings are no part of that source.

A few bugs share no line with the right code. They are written out under `@whole_bug(component)`,
with the same text in their docstring, but for the name.
"""

import ast
import inspect
import linecache
import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from types import ModuleType

from course_lib.parsing import parse
from course_lib.transformer import MODULES

from .changes import COMES, MARKS, ChangeError, apply_change, marked, read_change
from .reference import (
    modules_of_components,
    names_used,
    reference_module,
    reference_source,
    without_docstrings,
)

__all__ = [
    "MODULES",
    "Bug",
    "ChangeError",
    "all_bugs",
    "bugs",
    "bugs_in",
    "bugs_of",
    "faulty",
    "find_bug",
    "misfits",
    "read_bugs",
    "whole_bug",
]

# torch warns of some mistakes that are made here on purpose: no news to whoever runs the zoo.
warnings.filterwarnings("ignore", module=r"course_lib\.bugs\b")


@dataclass(frozen=True)
class Bug:
    """One way to get one component wrong.

    Args:
        module: the module of `course_lib.transformer` that holds the component.
        title: completes "agrees with: …" for the learner.
        misconception: what the writer believed, and then what is so.
        symptom: what one sees of it: an error, a curve, a heat map.
        threads: public threads, `owner/repo#number`, where the same mistake was reported.
        change: what it changes in the component's source; empty if it is written out as a whole.
    """

    name: str
    component: str
    module: str
    title: str
    misconception: str
    symptom: str
    threads: tuple[str, ...] = ()
    change: str = ""
    whole: Callable | None = field(default=None, repr=False)

    @cached_property
    def source(self) -> str:
        """The component with the bug in it, under the component's name.

        A bug that calls the right component keeps its own name.

        Raises:
            ChangeError: the change does not fit the component.
        """
        if self.whole is None:
            try:
                return apply_change(self.change, reference_source(self.component))
            except ChangeError as error:
                raise ChangeError(f"{self}: {error}") from None
        source = without_docstrings(_without_registration(self.whole))
        if self.component in names_used(source):
            return source
        return re.sub(rf"\b{re.escape(self.name)}\b", self.component, source)

    @cached_property
    def implementation(self) -> Callable:
        """The faulty function or class."""
        if self.whole is not None:
            return self.whole
        file = f"<{self}>"
        linecache.cache[file] = len(self.source), None, self.source.splitlines(True), file
        try:
            code = compile(self.source, file, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise ChangeError(f"{self}: line {error.lineno} is not Python: {error.msg}.") from None
        place = import_module(f"{__name__}.{self.module}")
        names = {**vars(place), **vars(reference_module(self.module)), "__name__": place.__name__}
        exec(code, names)
        made = names[self.component]
        made.__name__ = self.name
        return made

    @property
    def marked_source(self) -> list[tuple[str, str]]:
        """The right component's lines, and what becomes of each: see `changes.marked`."""
        if self.whole is not None:
            return [(COMES, line) for line in self.source.splitlines()]
        return marked(self.change, reference_source(self.component))

    def __str__(self) -> str:
        return f"bug {self.name} of {self.component}"


_bugs: dict[str, Bug] = {}


def bugs(text: str) -> None:
    """Put bugs into the zoo that are changes to one component.

    Raises:
        ChangeError: the text cannot be read.
        ValueError: another bug has the same name.
    """
    for bug in read_bugs(text):
        _register(bug)


def read_bugs(text: str) -> list[Bug]:
    """The bugs of a text, which may stand in no zoo.

    Raises:
        ChangeError: the text cannot be read.
    """
    heading, *parts = re.split(r"^(?=\S)", text.strip("\n"), flags=re.MULTILINE)[1:] or [""]
    component, colon, _ = heading.partition(":")
    if not colon or component not in modules_of_components():
        raise ChangeError(f"bugs begin with `component:`, got {heading!r}.")
    return [_bug(component, *part.partition("\n")[::2]) for part in parts]


def whole_bug(component: str) -> Callable[[Callable], Callable]:
    """A decorator that puts a faulty function or class, written out, into the zoo."""

    def register(implementation: Callable) -> Callable:
        said = implementation.__doc__ or ""
        _register(_bug(component, implementation.__name__, said, implementation))
        return implementation

    return register


def _bug(component: str, name: str, body: str, whole: Callable | None = None) -> Bug:
    """One bug: its name, and what stands below it."""
    if not name.isidentifier():
        raise ChangeError(f"a bug of {component} begins with its name, got {name!r}.")
    try:
        said = _read(body)
    except ChangeError as error:
        raise ChangeError(f"bug {name} of {component}: {error}") from None
    if bool(said["change"]) == (whole is not None):
        raise ChangeError(f"bug {name} of {component} must be either a change or a whole.")
    return Bug(name, component, modules_of_components()[component], whole=whole, **said)


def _register(new: Bug) -> None:
    if new.name in _bugs:
        raise ValueError(f"the name of a bug must be unique, got {new.name!r} twice.")
    _bugs[new.name] = new


_KEYS = {"believed": "misconception", "seen": "symptom", "reported": "threads"}


def _read(body: str) -> dict:
    """What a bug says of itself, by the names of `Bug`'s fields."""
    lines = inspect.cleandoc(body).splitlines()
    first = next((n for n, line in enumerate(lines) if line[:2].strip() in [*MARKS]), len(lines))
    said, field_name = {"title": []}, "title"
    for line in lines[:first]:
        key, colon, rest = line.partition(": ")
        if colon and key in _KEYS:
            field_name, line = _KEYS[key], rest
            said[field_name] = []
        said[field_name].append(line.strip())
    said = {name: " ".join(filter(None, parts)) for name, parts in said.items()}
    if missing := [key for key, name in _KEYS.items() if name != "threads" and not said.get(name)]:
        raise ChangeError(f"the text must say what is {' and '.join(missing)}, got {body!r}.")
    said["threads"] = tuple(filter(None, said.get("threads", "").split(", ")))
    said["change"] = "\n".join(lines[first:])
    if said["change"]:
        read_change(said["change"])
    return said


def all_bugs() -> list[Bug]:
    """Every bug, in lesson order and then as written."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    return sorted(_bugs.values(), key=lambda bug: MODULES.index(bug.module))


def faulty(name: str) -> Callable:
    """The implementation of a bug, for a page that runs it; what it changes is printed.

    Raises:
        KeyError: there is no bug of that name.
    """
    bug = find_bug(name)
    shown = textwrap.indent(bug.change or bug.source, "  ")
    print(f"{name}, in {bug.component}:\n{shown}\n")
    return bug.implementation


def misfits() -> list[str]:
    """What is wrong with bugs that do not fit their components any more; empty if all do."""
    found = []
    for bug in all_bugs():
        try:
            bug.implementation  # noqa: B018 (it is made when it is asked for)
        except ChangeError as error:
            found.append(str(error))
    return found


def bugs_in(module: ModuleType) -> list[Bug]:
    """The bugs that one module of the zoo holds, as written."""
    return [bug for bug in _bugs.values() if f"{__name__}.{bug.module}" == module.__name__]


def find_bug(name: str) -> Bug:
    """The bug of that name.

    Raises:
        KeyError: there is none.
    """
    all_bugs()
    return _bugs[name]


def bugs_of(component: str) -> list[Bug]:
    """The bugs of one component, as written; an empty list where there are none."""
    return [bug for bug in all_bugs() if bug.component == component]


def _without_registration(whole: Callable) -> str:
    """The source of a whole bug; of its decorators those stay that are not the zoo's."""
    text = textwrap.dedent(inspect.getsource(whole))
    definition = parse(text).body[0]
    zoo = [d for d in definition.decorator_list if isinstance(d, ast.Call)]
    zoo = [d for d in zoo if getattr(d.func, "id", None) == whole_bug.__name__]
    dropped = {n for d in zoo for n in range(d.lineno - 1, d.end_lineno)}
    return "\n".join(line for n, line in enumerate(text.splitlines()) if n not in dropped)
