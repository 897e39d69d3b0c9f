"""The words of the glossary, linked to what they mean where a lesson first uses them.

`book/glossary.md` is their one home: each term gets an anchor, and the first time a lesson's prose
says it, the word becomes a link to it, whose preview `preview.js` shows. Where a lesson says a term
in bold or italics it explains it itself, and from there on nothing is linked. A term that is code
in the glossary, such as `backward`, is met only as code.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.util.nodes import make_refnode
from sphinx_design.dropdown import dropdown_main

from .quiz import element

HOME = "glossary"
_TERM = re.compile(r"^(?P<tick>`?)(?P<term>[^\n`:]+)`?\n: ", re.MULTILINE)
_INFLECTED = r"(?:e?s|e?d)?"


def setup_terms(app) -> None:
    """Give the terms their anchors, and link what mentions them."""
    app.connect("doctree-read", _anchor_terms)
    app.connect("doctree-resolved", _link_terms)


def read_terms(text: str) -> dict[str, re.Pattern]:
    """Each term of the glossary's text, and what a mention of it looks like in prose or as code.

    >>> terms = read_terms("batch\\n: Texts.\\n\\n`backward`\\n: Slopes.\\n")
    >>> [(term, said.findall("Batches go `backward()`.")) for term, said in terms.items()]
    [('batch', ['Batches']), ('backward', ['`backward()`'])]
    """
    return {
        found["term"]: _said(found["term"], bool(found["tick"])) for found in _TERM.finditer(text)
    }


def _said(term: str, is_code: bool) -> re.Pattern:
    if is_code:
        return re.compile(rf"`{re.escape(term)}(?:\(\))?`")
    words = re.escape(term).replace(r"\ ", r"\s+")
    first = f"[{words[0].upper()}{words[0].lower()}]"
    return re.compile(rf"(?<![\w-]){first}{words[1:]}{_INFLECTED}(?![\w-])")


def _anchor_terms(app, doctree: nodes.document) -> None:
    if app.env.docname == HOME:
        for term in doctree.findall(nodes.term):
            term["ids"].append(_anchor(term.astext()))


def _link_terms(app, doctree: nodes.document, docname: str) -> None:
    if HOME not in app.env.found_docs or not docname[:2].isdigit():
        return
    left = read_terms(Path(app.env.doc2path(HOME)).read_text(encoding="utf-8"))
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.Text | nodes.literal))):
        if isinstance(node, nodes.literal):
            _link_code(app, docname, node, left)
        elif isinstance(node.parent, nodes.emphasis | nodes.strong):
            for term in [term for term, said in left.items() if said.search(node)]:
                del left[term]
        elif isinstance(node.parent, nodes.paragraph) and not _is_folded(node):
            node.parent.replace(node, _with_links(app, docname, str(node), left))


def _link_code(app, docname: str, code: nodes.literal, left: dict[str, re.Pattern]) -> None:
    for term, said in left.items():
        in_prose = isinstance(code.parent, nodes.paragraph) and not _is_folded(code)
        if in_prose and said.fullmatch(f"`{code.astext()}`"):
            code.parent.replace(code, _link(app, docname, term, code.deepcopy()))
            del left[term]
            return


def _with_links(app, docname: str, text: str, left: dict[str, re.Pattern]) -> list[nodes.Node]:
    """The text cut up, with links for the terms that it is the first to mention."""
    found = [(said.search(text), term) for term, said in left.items()]
    mentions = sorted((mention.span(), term) for mention, term in found if mention)
    pieces, done = [], 0
    for (start, end), term in mentions:
        if start < done:
            continue  # inside a longer term
        word = nodes.inline("", text[start:end])
        pieces += [nodes.Text(text[done:start]), _link(app, docname, term, word)]
        done = end
        del left[term]
    return [*pieces, nodes.Text(text[done:])]


def _link(app, docname: str, term: str, shown: nodes.Node) -> nodes.reference:
    link = make_refnode(app.builder, docname, HOME, _anchor(term), shown)
    link["classes"].append("term")
    return link


def _is_folded(node: nodes.Node) -> bool:
    """Whether it stands in a hint or an answer, which a reader may never open."""
    while node is not None and not isinstance(node, dropdown_main | element):
        node = node.parent
    return node is not None


def _anchor(term: str) -> str:
    return f"term-{nodes.make_id(term)}"
