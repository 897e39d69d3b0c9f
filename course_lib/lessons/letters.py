"""The letters of shapes, linked to the page that says what each counts.

`book/notation.md` is their one home: its table gives each letter an anchor, and the first time a
section of a lesson or of the Reference writes `T` or a shape such as `(B, T, C)`, the code becomes
a link to it. What the table says goes along with the link, for `preview.js` to show at once.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.util.nodes import make_refnode

from .addresses import REFERENCE

HOME = "notation"
_ROW = re.compile(
    r"^\| `(?P<letter>[A-Z])` \| (?P<counts>[^|]+?) \| *`?(?P<code>\w*)`? *\|$", re.MULTILINE
)


def setup_letters(app) -> None:
    """Give the letters their anchors, and link what mentions them."""
    app.connect("doctree-read", _anchor_rows)
    app.connect("doctree-resolved", _link_letters)


def read_letters(text: str) -> dict[str, str]:
    """What each letter stands for, from the text of the notation page.

    >>> read_letters("| `T` | positions: *who* asks | `n_queries` |")
    {'T': 'positions: who asks (n_queries)'}
    """
    return {
        row["letter"]: re.sub(r"[`*]", "", row["counts"])
        + (f" ({row['code']})" if row["code"] else "")
        for row in _ROW.finditer(text)
    }


def letters_in(code: str, known: dict[str, str]) -> list[str]:
    """The letters of a piece of code that is a letter or a shape; none for other code.

    >>> letters_in("(..., T, 2*D)", {"T": "", "D": ""}), letters_in("T > S", {"T": "", "S": ""})
    (['T', 'D'], [])
    """
    if code in known:
        return [code]
    if not re.fullmatch(r"\((\.\.\.|[A-Z0-9 +*·/]+)(, *(\.\.\.|[A-Z0-9 +*·/]+))*,?\)", code):
        return []
    return [letter for letter in dict.fromkeys(re.findall(r"[A-Z]", code)) if letter in known]


def _anchor_rows(app, doctree: nodes.document) -> None:
    if app.env.docname != HOME:
        return
    for row in doctree.findall(nodes.row):
        first = next(iter(row.findall(nodes.literal)), None)
        if first is not None and re.fullmatch("[A-Z]", first.astext()):
            row["ids"].append(_anchor(first.astext()))


def _link_letters(app, doctree: nodes.document, docname: str) -> None:
    if HOME not in app.env.found_docs or not (docname[:2].isdigit() or docname == REFERENCE):
        return
    known = read_letters(Path(app.env.doc2path(HOME)).read_text(encoding="utf-8"))
    for section in doctree.findall(nodes.section):
        seen = set()
        for code in list(section.findall(nodes.literal)):
            letters = letters_in(code.astext(), known)
            if not set(letters) - seen or _nearest_section(code) is not section or _is_linked(code):
                continue
            seen.update(letters)
            link = make_refnode(app.builder, docname, HOME, _anchor(letters[0]), code.deepcopy())
            link["classes"].append("letter")
            link["reftitle"] = "; ".join(f"{letter}: {known[letter]}" for letter in letters)
            code.parent.replace(code, link)


def _nearest_section(node: nodes.Node) -> nodes.Node:
    while not isinstance(node, nodes.section):
        node = node.parent
    return node


def _is_linked(node: nodes.Node) -> bool:
    outside = (nodes.reference, nodes.title)
    while node is not None and not isinstance(node, outside):
        node = node.parent
    return node is not None


def _anchor(letter: str) -> str:
    return f"letter-{letter.lower()}"
