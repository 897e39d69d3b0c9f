"""A picture that does not say what it shows fails the build, drawn or computed."""

from docutils import nodes
from sphinx.util import logging

SHORTEST = 30

logger = logging.getLogger(__name__)


def setup_pictures(app) -> None:
    """Look at every page once it has been read."""
    app.connect("doctree-read", _warn_of_silent_pictures)


def _warn_of_silent_pictures(app, doctree: nodes.document) -> None:
    for picture in doctree.findall(nodes.image):
        text = picture.get("alt", "").strip()
        if len(text) < SHORTEST:
            computed = _cell(picture)
            where = "the cell's `mystnb: image: alt:`" if computed else "its option `:alt:`"
            logger.warning(
                f"a picture must say what it shows, in {SHORTEST} characters or more in {where}, "
                f"got {text!r}",
                location=computed or picture,
            )


def _cell(picture: nodes.Node) -> nodes.Node | None:
    """The cell that computed a picture; None for one that the author drew."""
    while picture.parent is not None:
        picture = picture.parent
        if picture.get("nb_element") == "cell_code":
            return picture
    return None
