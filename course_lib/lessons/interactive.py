"""Interactive figures on a page: the picture, its numbers beside it, and a name for the script.

MyST-NB asks this plugin about every output. It answers for pictures whose metadata carry a
figure (`course_lib.figures`); where it is not installed, the page shows the picture alone.
`pyproject.toml` names it as an entry point of MyST-NB.
"""

import json
from html import escape

from docutils import nodes


class FigureRenderer:
    """What MyST-NB calls a MIME renderer."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline: bool):
        """The nodes of a picture with a figure; None leaves the output to MyST-NB."""
        figure = data.output_metadata.get(data.mime_type, {}).get("figure")
        if figure is None or inline:
            return None
        # The picture goes the usual way, and so takes the cell's alternative text with it.
        return [
            nodes.raw(text=opening(figure), format="html"),
            *renderer.render_image(data),
            nodes.raw(text=closing(figure), format="html"),
        ]


def opening(figure: dict) -> str:
    """What stands before the picture."""
    return f'<figure class="interactive" data-figure="{escape(figure["name"])}">'


def closing(figure: dict) -> str:
    """The numbers, which no browser shows, and the end of the figure."""
    numbers = json.dumps(figure["data"], ensure_ascii=False, separators=(",", ":"))
    numbers = numbers.replace("<", "\\u003c")  # nothing in them can end the script
    return f'<script type="application/json">{numbers}</script></figure>'
