"""The Reference: what every component must do, from the docstrings, for a reader who looks it up.

`book/reference.md` says what holds for all of them, and where the components are to stand: one
section a lesson, in the order in which they are written, each with links to its exercise and to
its bugs.
"""

import re
from collections.abc import Container, Iterable
from itertools import groupby
from pathlib import Path

from .addresses import exercise_anchor
from .bug_pages import page_name
from .contract import Contract, read_contract
from .plain import plain
from .source import dataclass_names, module_summary
from .text import LessonError, lesson_texts, lesson_title, read_lesson

PLACE = "```{components}\n```\n"  # what stands in `book/reference.md` for all of the below


def fill_reference(text: str, book: Path, pages: Container[str]) -> str:
    """The text of the Reference, with every component of the book in its place.

    Args:
        text: that of `book/reference.md`.
        book: the folder of the lessons.
        pages: names of the book's pages; a component links to those that there are.
    """
    if text.count(PLACE) != 1:
        raise LessonError(
            f"the Reference must say once where the components stand, by {PLACE!r}, "
            f"got {text.count(PLACE)} times."
        )
    return text.replace(PLACE, "\n".join(_sections(book, pages)))


def _sections(book: Path, pages: Container[str]) -> Iterable[str]:
    parts = {
        path: [cell.component for cell in read_lesson(path) if cell.component]
        for path in lesson_texts(book)
        if path.stem in pages
    }
    given = {m: dataclass_names(m) for written in parts.values() for m, _ in written}
    known = {name for written in parts.values() for _, name in written}
    known.update(*given.values())
    for path, written in parts.items():
        if not written:
            continue
        yield f"## {{doc}}`{lesson_title(path)} </{path.stem}>`\n"
        for module in dict.fromkeys(module for module, _ in written):
            yield _words(module_summary(module), known) + "\n"
            for name in given[module]:
                yield _entry(read_contract(module, name), module, ["you are given it"], known)
        for module, name in written:
            links = [f"{{ref}}`the exercise <{exercise_anchor(name)}>`"]
            if page_name(name) in pages:
                links.append(f"{{doc}}`how it goes wrong </{page_name(name)}>`")
            yield _entry(read_contract(module, name), module, links, known)


def _entry(contract: Contract, module: str, links: list[str], known: set[str]) -> str:
    base = f"A kind of `{contract.base}`, in" if contract.base else "In"
    where = _words(f"{base} `my_transformer/{module}.py`", known)
    methods = [_described("method", m, known - {contract.name}) for m in contract.methods]
    kind = "class" if contract.is_class else "function"
    end = " · ".join([where, *links])
    return _described(kind, contract, known - {contract.name}, *methods, end)


def _described(kind: str, contract: Contract, known: set[str], *more: str) -> str:
    """A directive of Sphinx's domain for Python: its anchor is the name as it is."""
    blocks = [_block(paragraph, known) for paragraph in contract.docstring.paragraphs]
    sources = [block for block in blocks if block.startswith("Source")]
    blocks = [block for block in blocks if block not in sources]
    blocks += [_arguments(contract, known), _result(contract, known), _errors(contract, known)]
    body = "\n\n".join(block for block in [*blocks, *sources, *more] if block)
    fence = "`" * (3 + max((len(run) for run in re.findall("`{3,}", body)), default=0))
    options = ":no-index-entry:\n"
    return f"{fence}{{py:{kind}}} {contract.name}{contract.signature}\n{options}\n{body}\n{fence}\n"


def _block(paragraph: str, known: set[str]) -> str:
    if paragraph.startswith(">>>"):
        return f"```pycon\n{paragraph}\n```"
    return _words(paragraph, known)


def _arguments(contract: Contract, known: set[str]) -> str:
    """What the component takes; neighbours of which the same is said share a line."""
    about = {}
    for name, what in contract.parameters.items():
        about[name] = (
            _words(what, known),
            _words(contract.docstring.arguments.get(name, ""), known),
        )
    said = []
    for (what, text), names in groupby(about, key=about.get):
        shown = ", ".join(f"`{name}`" for name in names)
        if what and text:
            said.append(f"- {shown} ({what}): {text}")
        elif what or text:
            said.append(f"- {shown}: {what or text}")
    return "\n".join(["**Takes**", "", *said]) if said else ""


def _result(contract: Contract, known: set[str]) -> str:
    result, text = contract.result.removeprefix("None"), contract.docstring.returns
    between = (": " if text.startswith("`") else ". ") if result and text else ""
    return f"**Gives** {_words(result + between + text, known)}" if result or text else ""


def _errors(contract: Contract, known: set[str]) -> str:
    errors = contract.docstring.errors.items()
    said = [f"- `{kind}`: {_words(text, known)}" for kind, text in errors]
    return "\n".join(["**Raises**", "", *said]) if said else ""


def _words(text: str, known: set[str]) -> str:
    """Plain text; the names of other components lead to their entries."""
    return re.sub(
        r"`(\w+)`",
        lambda code: f"{{py:obj}}{code[0]}" if code[1] in known else code[0],
        plain(text),
    )
