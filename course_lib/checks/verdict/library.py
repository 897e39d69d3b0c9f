"""The library that is the answer: what a component asks to be written, and a library has ready.

It stands once, in the component's docstring: `Write it from …: `F.gelu` and `nn.GELU` are what you
are building.` Where a docstring says nothing of the kind, anything in Python, NumPy and torch may
be used.

There are two ways to find it. What was *called* was seen while the answer was observed: that is
certain. What is only *named* stands in the text of the cell, and may be there for a comparison, or
never be reached; or the answer hides from the watch. So a call may cost points, and a name never.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from course_lib.bugs.reference import docstring_of, modules_of_components

from ...lines import OTHER_LINES, wrapped
from ..cases.check import Check
from ..observe.load.names import library_names
from ..observe.watches.library import is_named

_SENTENCE = re.compile(
    r"(Write it [^:]*): ((?:`[\w.]+`(?:, | and )?)+) (?:is|are) what you are building\."
)


@dataclass(frozen=True)
class Library:
    """What a component asks to be written, as one knows it from a library; often nothing."""

    names: tuple[str, ...] = ()
    advice: str = ""  # how to write it: "Write it from matrix products"


def library_of(check: Check) -> Library:
    """What the check's component is to be written without; nothing for a whole package."""
    return _library_of(check.name)


@cache
def _library_of(component: str) -> Library:
    if component not in modules_of_components():
        return Library()
    found = _SENTENCE.search(" ".join(docstring_of(component).split()))
    if not found:
        return Library()
    return Library(tuple(re.findall(r"`([\w.]+)`", found[2])), found[1])


def library_names_of(component: str) -> tuple[str, ...]:
    """The names of what a component asks to be written."""
    return _library_of(component).names


def named_in(component: str, words: Collection[str]) -> tuple[str, ...]:
    """What of it is among the names that `observe/load/names.py` found in the answer's text."""
    return tuple(name for name in _library_of(component).names if is_named(name, words))


def finding(called: Collection[str], named: Collection[str] = ()) -> str:
    """What was found of an answer; empty where nothing was."""
    if called:
        return f"it calls {' and '.join(called)}, which is what is to be written"
    if named:
        return (
            f"its text names {' and '.join(named)}, which is what is to be written; "
            "no call was seen"
        )
    return ""


def note_at_the_desk(component: str, called: Collection[str], source: str = "") -> str:
    """What the learner reads of an answer that passed; empty where nothing was found.

    Args:
        source: the text of the answer, where there is one.
    """
    found = finding(called, named_in(component, library_names(source)))
    if not found:
        return ""
    advice = _library_of(component).advice
    text = (
        f"note: {found}. It counts here; in a class the teacher decides. {advice}: then you know."
    )
    return "\n".join(wrapped(text, OTHER_LINES, rest="  "))
