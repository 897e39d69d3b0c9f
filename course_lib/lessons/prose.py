"""MyST prose as the plain Markdown that every notebook reader shows.

The list of what is translated is closed: a directive or role that is not on it is refused, so
that none reaches a notebook by accident.
"""

import re

from .questions import read_question
from .text import LessonError, below

ADMONITIONS = ("note", "tip", "warning", "important", "admonition", "attention", "seealso")
_OPENING = re.compile(r"^(?P<indent> *)(?P<fence>:{3,}|`{3,})\{(?P<name>[\w-]+)\} *(?P<title>.*)$")
_ROLE = re.compile(r"\{(?P<name>[\w:-]+)\}`(?P<text>[^`]*)`")
_WITH_TARGET = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$")
_LINK = re.compile(
    r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[\w./-]+?)(?:\.md)?(?P<anchor>#[\w-]*)?\)"
)
_LABEL = re.compile(r"^\([\w:.-]+\)=\s*$")
_QUIZ = "\0quiz"  # where one was left out
_ONLY_QUIZZES = re.compile(rf"^#+ [^\n]*\n(?:\s*{_QUIZ}\s*?$)+\s*(?=^#|\Z)", re.MULTILINE)
_EQUATION_LABEL = re.compile(r"^\$\$ *\([\w:-]+\) *$")


def to_markdown(text: str, lessons: list[str]) -> str:
    """A Markdown cell without directives, roles, labels or comments.

    Args:
        lessons: names of the lessons; references to them become links to their notebooks.
    """
    text = "\n".join(_blocks(text.splitlines(), lessons))
    return _ONLY_QUIZZES.sub("", text).replace(_QUIZ, "").strip()


def _blocks(lines: list[str], lessons: list[str]) -> list[str]:
    result, position, code_fence = [], 0, None
    while position < len(lines):
        line = lines[position]
        opening = _OPENING.match(line)
        if code_fence is None and opening:
            with below(position):
                end = _closing(lines, position, opening)
                result += _directive(opening, lines[position + 1 : end], lessons)
            position = end + 1
            continue
        fence = re.match(r"^ *(```+|~~~+)", line)
        if fence:
            code_fence = None if code_fence else fence[1]
        if code_fence is None and not fence:
            with below(position):
                line = _line(line, lessons)
        if line is not None:
            result.append(line)
        position += 1
    return result


def _closing(lines: list[str], start: int, opening: re.Match) -> int:
    for position in range(start + 1, len(lines)):
        if lines[position].strip() == opening["fence"]:
            return position
    raise LessonError(f"the directive {{{opening['name']}}} is opened and never closed.")


def _directive(opening: re.Match, body: list[str], lessons: list[str]) -> list[str]:
    name, title = opening["name"], opening["title"].strip()
    if name == "quiz":
        read_question(title, body)  # raises if it is malformed; the page alone shows it
        return [_QUIZ]
    options, content = _options(body)
    with below(1 + len(body) - len(content)):
        inside = _blocks(content, lessons)
    if name in ADMONITIONS:
        heading = title if name == "admonition" else name.capitalize()
        if name != "admonition" and title:
            inside = [_line(title, lessons), *inside]
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


def _line(line: str, lessons: list[str]) -> str | None:
    if _LABEL.match(line) or line.startswith("% "):
        return None
    line = _EQUATION_LABEL.sub("$$", line)
    pieces = re.split(r"(?<!`)(`[^`]+`)(?!`)", line)
    line = "".join(
        piece if piece.startswith("`") else _LINK.sub(lambda m: _link(m, lessons), piece)
        for piece in pieces
    )
    return _ROLE.sub(lambda m: _role(m, lessons), line)


def _role(match: re.Match, lessons: list[str]) -> str:
    name, text = match["name"], match["text"]
    explicit = _WITH_TARGET.match(text)
    shown, target = (explicit["text"], explicit["target"]) if explicit else (text, text)
    if name == "doc":
        return _to_lesson(shown, target.removesuffix(".md"), lessons)
    if name in ("ref", "numref", "eq"):
        if not explicit:
            raise LessonError(f"write {{{name}}}`words <{text}>`: a notebook shows the words.")
        return shown.replace("%s", "").strip()  # where the page has a number
    raise LessonError(
        f"the role {{{name}}} cannot be shown in a notebook; allowed: doc, ref, numref, eq."
    )


def _link(match: re.Match, lessons: list[str]) -> str:
    if match["target"].startswith(("http", "//")):
        return match[0]
    return _to_lesson(match["text"], match["target"], lessons)


def _to_lesson(shown: str, target: str, lessons: list[str]) -> str:
    """A link to another lesson's notebook; other pages of the book are named only."""
    name = target.rsplit("/", 1)[-1]
    return f"[{shown}](../{name}/{name}.ipynb)" if name in lessons else shown
