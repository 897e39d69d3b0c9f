"""Links between lessons, in notebooks that may lie alone or all together.

Markdown cannot ask what lies beside it. So a built notebook, which may be handed out alone, links
to pages of the book or, while the book has no address, says "lesson 3" in words. Each cell keeps
in its metadata the links that it could have; where all notebooks lie in one folder, `side_by_side`
puts them in.
"""

import re
from collections.abc import Container, Sequence

_TO_NOTEBOOK = re.compile(r"\[(?P<words>[^\]\n]+)\]\((?P<lesson>\d\d_\w+)\.ipynb\)")


def page_link(words: str, page: str, book: str) -> str:
    """A link to a page of the book at the address `book`; the words alone without an address.

    >>> page_link("lesson 3", "03_causal_masking", "https://example.org/book")
    '[lesson 3](https://example.org/book/03_causal_masking.html)'
    """
    return f"[{words}]({book.rstrip('/')}/{page}.html)" if book else words


def notebook_link(words: str, lesson: str) -> str:
    """A link to the notebook of `lesson` in the same folder."""
    return f"[{words}]({lesson}.ipynb)"


def standing_alone(text: str, book: str) -> tuple[str, list[str]]:
    """Markdown without links to notebooks, and those that it had.

    >>> standing_alone("As in [lesson 3](03_causal_masking.ipynb).", book="")
    ('As in lesson 3.', ['[lesson 3](03_causal_masking.ipynb)'])
    """
    links = [found[0] for found in _TO_NOTEBOOK.finditer(text)]
    return _TO_NOTEBOOK.sub(lambda found: page_link(found[1], found[2], book), text), links


def with_links(text: str, links: Sequence[str], there: Container[str] | None = None) -> str:
    """The text with its links to notebooks: the inverse of `standing_alone`.

    Each link takes the place of its words, where they are next said.

    Args:
        there: the lessons that can be linked to; None: all.
    """
    done = ""
    for link in links:
        words, lesson = _TO_NOTEBOOK.fullmatch(link).groups()
        said = re.escape(words)
        found = re.search(rf"\[{said}\]\([^()\s]*\)|(?<!\w){said}(?!\w)", text)
        if found is None:
            break
        can_be_linked = there is None or lesson in there
        done += text[: found.start()] + (link if can_be_linked else found[0])
        text = text[found.end() :]
    return done + text


def side_by_side(notebook: dict, there: Container[str]) -> dict:
    """A built notebook, as plain JSON, for a folder that holds the notebooks of `there`."""
    return notebook | {"cells": [_side_by_side(cell, there) for cell in notebook["cells"]]}


def _side_by_side(cell: dict, there: Container[str]) -> dict:
    links = cell["metadata"].get("course", {}).get("links", ())
    text = with_links("".join(cell["source"]), links, there)
    return cell | {"source": text.splitlines(keepends=True)} if links else cell
