"""MyST prose as the plain Markdown that every notebook reader shows.

The list of what is translated is closed: a directive or role that is not on it is refused, so
that none reaches a notebook by accident.
"""

import functools
import re
from collections.abc import Callable

from .links import notebook_link, page_link
from .questions import read_question
from .text import LessonError, below

ADMONITIONS = ("note", "tip", "warning", "important", "admonition", "attention", "seealso")
_OPENING = re.compile(r"^(?P<indent> *)(?P<fence>:{3,}|`{3,})\{(?P<name>[\w-]+)\} *(?P<title>.*)$")
_ROLE = re.compile(r"\{(?P<name>[\w:-]+)\}`(?P<text>[^`]*)`")
_WITH_TARGET = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$")
_LINK = re.compile(
    r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>(?!/)[\w./-]*?)(?:\.md)?(?P<anchor>#[\w-]*)?\)"
)
_LABEL = re.compile(r"^\([\w:.-]+\)=\s*$")
_QUIZ = "\0quiz"  # where one was left out
_ONLY_QUIZZES = re.compile(rf"^#+ [^\n]*\n(?:\s*{_QUIZ}\s*?$)+\s*(?=^#|\Z)", re.MULTILINE)
_EQUATION_LABEL = re.compile(r"^\$\$ *\([\w:-]+\) *$")


# Makes Markdown of a reference: its words, and the page that it leads to.
Refer = Callable[[str, str], str]


def to_markdown(text: str, lessons: list[str], book: str = "") -> str:
    """A Markdown cell without directives, roles, labels or comments.

    Args:
        lessons: names of the lessons; references to them become links to their notebooks, as if
            all lay in one folder.
        book: where the book is published; references to its other pages become links, if known.
    """
    refer = functools.partial(_reference, lessons=lessons, book=book)
    text = "\n".join(_blocks(text.splitlines(), refer))
    return _ONLY_QUIZZES.sub("", text).replace(_QUIZ, "").strip()


def _blocks(lines: list[str], refer: Refer) -> list[str]:
    result, position, code_fence = [], 0, None
    while position < len(lines):
        line = lines[position]
        opening = _OPENING.match(line)
        if code_fence is None and opening:
            with below(position):
                end = _closing(lines, position, opening)
                result += _directive(opening, lines[position + 1 : end], refer)
            position = end + 1
            continue
        fence = re.match(r"^ *(```+|~~~+)", line)
        if fence:
            code_fence = None if code_fence else fence[1]
        if code_fence is None and not fence:
            with below(position):
                line = _line(line, refer)
        if line is not None:
            result.append(line)
        position += 1
    return result


def _closing(lines: list[str], start: int, opening: re.Match) -> int:
    for position in range(start + 1, len(lines)):
        if lines[position].strip() == opening["fence"]:
            return position
    raise LessonError(f"the directive {{{opening['name']}}} is opened and never closed.")


def _directive(opening: re.Match, body: list[str], refer: Refer) -> list[str]:
    name, title = opening["name"], opening["title"].strip()
    if name == "quiz":
        read_question(title, body)  # raises if it is malformed; the page alone shows it
        return [_QUIZ]
    options, content = _options(body)
    with below(1 + len(body) - len(content)):
        inside = _blocks(content, refer)
    if name in ADMONITIONS:
        heading = title if name == "admonition" else name.capitalize()
        if name != "admonition" and title:
            inside = [_line(title, refer), *inside]
        return [f"> **{heading}**", ">", *[f"> {line}".rstrip() for line in inside]]
    if name == "dropdown":
        return ["<details>", f"<summary>{title}</summary>", "", *inside, "", "</details>"]
    if name == "figure":
        return [f"![{options.get('alt', '')}]({title})", "", *inside]
    raise LessonError(
        f"the directive {{{name}}} cannot be shown in a notebook; allowed: "
        f"{', '.join((*ADMONITIONS, 'dropdown', 'figure', 'quiz'))}."
    )


def _options(body: list[str]) -> tuple[dict, list[str]]:
    options = {}
    while body and (match := re.match(r"^:([\w-]+):\s*(.*)$", body[0])):
        options[match[1]] = match[2]
        body = body[1:]
    return options, body


def _line(line: str, refer: Refer) -> str | None:
    if _LABEL.match(line) or line.startswith("% "):
        return None
    line = _EQUATION_LABEL.sub("$$", line)
    pieces = re.split(r"(?<!`)(`[^`]+`)(?!`)", line)
    line = "".join(
        piece if piece.startswith("`") else _LINK.sub(lambda m: _link(m, refer), piece)
        for piece in pieces
    )
    return _ROLE.sub(lambda m: _role(m, refer), line)


def _role(match: re.Match, refer: Refer) -> str:
    name, text = match["name"], match["text"]
    explicit = _WITH_TARGET.match(text)
    shown, target = (explicit["text"], explicit["target"]) if explicit else (text, text)
    if name == "doc":
        return refer(shown if explicit else _spoken(match), target.removesuffix(".md"))
    if name in ("ref", "numref", "eq"):
        if not explicit:
            raise LessonError(f"write {{{name}}}`words <{text}>`: a notebook shows the words.")
        return shown.replace("%s", "").strip()  # where the page has a number
    raise LessonError(
        f"the role {{{name}}} cannot be shown in a notebook; allowed: doc, ref, numref, eq."
    )


def _spoken(match: re.Match) -> str:
    """What a reference without words says: a lesson's number, other pages by name."""
    page = match["text"].removesuffix(".md").rsplit("/", 1)[-1]
    number = re.match(r"\d\d(?=_)", page)
    if not number:
        return page
    before = match.string[: match.start()].rstrip()
    begins = not before.strip(" >*-") or before.endswith((".", "?", "!"))
    return f"{'Lesson' if begins else 'lesson'} {int(number[0])}"


def _link(match: re.Match, refer: Refer) -> str:
    return refer(match["text"], match["target"])


def _reference(words: str, target: str, lessons: list[str], book: str) -> str:
    """A lesson is linked to as a notebook beside this one, other pages of the book as pages."""
    name = target.rsplit("/", 1)[-1]
    if name in lessons:
        return notebook_link(words, name)
    is_page = re.fullmatch(r"/?[\w/-]+", target)  # not an anchor of this page, nor a file
    return page_link(words, target.removeprefix("/"), book if is_page else "")
