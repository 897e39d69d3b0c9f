"""Code on a page of feedback: in colours where that is cheap, and never more than a page takes.

nbconvert finds `highlight_code` by its name in the settings, wherever it makes a page of a
submission: here, in `nbgrader generate_feedback`, and in formgrader.
"""

from html import escape

from traitlets.config import Config

from .aside import ASIDE, AsideLost, TooDear

# Each may become an element, and nbconvert takes the finished page apart once more: a hundred
# thousand elements are many seconds. The longest solution has a quarter of it.
MOST_CHARACTERS = 10_000
SECONDS = 2  # of processor time; a cell takes milliseconds


def bound_highlighting(settings: Config) -> None:
    """Have every page that nbconvert makes with these settings show code in this way."""
    settings.HTMLExporter.filters = {"highlight_code": f"{__name__}.{highlight_code.__name__}"}


def highlight_code(source: str, language: str | None = None, metadata: dict | None = None) -> str:
    """The HTML of a code cell, as nbconvert's templates ask for it. Never raises."""
    shown, left = source[:MOST_CHARACTERS], len(source) - MOST_CHARACTERS
    if left <= 0:
        try:
            return ASIDE.ask("highlight", source, seconds=SECONDS)
        except (TooDear, AsideLost):
            pass
    more = f"\n… and {left} characters more" if left > 0 else ""
    return f'<div class="highlight"><pre>{escape(shown, quote=False)}{more}\n</pre></div>'
