"""How a lesson is opened as a notebook: the buttons at its top, and the panel they lead to.

The notebook is the exercise, built from the same text as the page. A link to Colab is made where
`_config.yml` names a repository on GitHub, the only place that Colab reads from.
"""

import re
import shutil
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from .exercises import lesson_names, notebook_path

COLAB = "https://colab.research.google.com/github"
FOLDER = "notebooks"
PANEL = "open-as-notebook"

_PANEL = """
<details class="open-notebook">
<summary>Do this lesson as a notebook</summary>
<div id="{panel}">
<ul>
<li><strong>In JupyterLab</strong>, in a folder of your own where your transformer grows:
<pre><code>course start my-course
cd my-course
jupyter lab {lesson}.ipynb</code></pre>
<code>course start</code> is needed once, for all lessons.</li>
<li><strong>By itself</strong>: <a href="{notebook}" download>download the notebook</a> ({size} kB).
Its first cell says what it needs.</li>{colab}
</ul>
</div>
</details>
"""
# The theme opens links of its buttons in a new tab.
_SHOW_PANEL = f"document.querySelector('.open-notebook').open = true; location.hash = '{PANEL}'"
_COLAB = """
<li><strong>In your browser</strong>: <a href="{address}">open it in Colab</a>, which is Google's
and wants an account.</li>"""


def setup_opening(app) -> None:
    """Replace the theme's buttons: they would hand out the page's source and its solutions."""
    app.connect("html-page-context", _add_buttons, priority=900)
    app.connect("build-finished", _copy_notebooks)


def colab_address(repository: str, branch: str, lesson: str) -> str | None:
    """Where Colab shows the exercise of a lesson; None without a repository on GitHub.

    >>> colab_address("https://github.com/o/r", "main", "02_x")
    'https://colab.research.google.com/github/o/r/blob/main/exercises/02_x/02_x.ipynb'
    """
    parts = urlsplit(repository)
    path = re.fullmatch(r"/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", parts.path)
    if parts.netloc != "github.com" or not path:
        return None
    return f"{COLAB}/{path[1]}/{path[2]}/blob/{branch}/exercises/{lesson}/{lesson}.ipynb"


def _add_buttons(app, pagename, templatename, context, doctree) -> None:
    buttons = [_button("javascript", "Print, or save as PDF", "fa-print", "window.print()")]
    if doctree is not None and pagename in lesson_names():
        notebook = f"{context['pathto'](FOLDER, 1)}/{pagename}.ipynb"
        options = app.config.html_theme_options
        colab = colab_address(
            options.get("repository_url", ""), options.get("repository_branch", "main"), pagename
        )
        buttons = [
            _button("link", "Download the notebook", "fa-download", notebook),
            _button("javascript", "Open in JupyterLab", "fa-book-open", _SHOW_PANEL),
            *([_button("link", "Open in Colab", "fa-cloud", colab)] if colab else []),
            *buttons,
        ]
        panel = _PANEL.format(
            panel=PANEL,
            lesson=pagename,
            notebook=escape(notebook),
            size=round(notebook_path(pagename).stat().st_size / 1000),
            colab=_COLAB.format(address=escape(colab)) if colab else "",
        )
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{panel}", 1)
    context["header_buttons"] = [
        button
        for button in context.get("header_buttons", [])
        if button.get("label") != "download-buttons"
    ]
    context["header_buttons"].append(
        {
            "type": "group",
            "tooltip": "Notebook and print",
            "icon": "fas fa-download",
            "buttons": buttons,
            "label": "lesson-buttons",
        }
    )


def _button(kind: str, text: str, icon: str, action: str) -> dict:
    where = {"url": action} if kind == "link" else {"javascript": action}
    return {"type": kind, "text": text, "tooltip": text, "icon": f"fas {icon}"} | where


def _copy_notebooks(app, exception) -> None:
    if exception is not None:
        return
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    for lesson in lesson_names():
        if lesson in app.env.found_docs:
            shutil.copyfile(notebook_path(lesson), folder / f"{lesson}.ipynb")
