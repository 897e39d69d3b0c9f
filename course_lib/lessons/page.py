"""A Sphinx extension: on the page, an exercise shows its stub, its hints and its folded source.

The lesson's text holds only an import line. Before Sphinx parses a lesson, that cell is replaced
by what a reader needs; the import itself still runs, unseen, so that the page shows what the
code does.
"""

import re
from collections.abc import Container

import yaml

from .bug_pages import page_name
from .source import component_source, stub
from .text import Cell

_CELL = re.compile(
    r"^(?P<fence>`{3,})\{code-cell\}[^\n]*\n---\n(?P<options>.*?)\n---\n(?P<code>.*?)\n(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)

_EXERCISE = """\
:::{{admonition}} Exercise: `{name}`
:class: exercise

About {minutes} minutes · difficulty {difficulty} of 5 · importance {importance} of 5.
In the notebook of this lesson you write the part marked `YOUR CODE HERE`:{others}
:::

```python
{stub}
```

{hints}
````{{dropdown}} One solution
```python
{source}
```
````

```{{code-cell}} python
:tags: [remove-cell]
{code}
```"""

_OTHERS = """

{{doc}}`How others got this wrong </{page}>`"""

_HINT = """\
````{{dropdown}} Hint {number}
{text}
````
"""


def setup(app):
    """Sphinx calls this once."""
    # Here, as only Sphinx has what they need.
    from .letters import setup_letters
    from .opening import setup_opening
    from .pictures import setup_pictures
    from .quiz import setup_quiz

    app.connect("source-read", _on_source_read)
    setup_quiz(app)
    setup_pictures(app)
    setup_opening(app)
    setup_letters(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _on_source_read(app, docname, source) -> None:
    source[0] = expand_exercises(source[0], app.env.found_docs)


def expand_exercises(text: str, pages: Container[str] = ()) -> str:
    """A lesson's MyST text with every exercise cell spelt out, and the set-up cell out of sight.

    Args:
        pages: names of the book's pages; an exercise links to that of its bugs, if there is one.
    """
    text = text.replace(":tags: [setup]", ":tags: [setup, remove-cell]", 1)
    return _CELL.sub(lambda match: _expand(match, pages), text)


def _expand(match: re.Match, pages: Container[str]) -> str:
    options = yaml.safe_load(match["options"])
    if "solve" not in options:
        return match[0]
    module, name = Cell("code", match["code"], options).component
    source = component_source(module, name)
    bugs = page_name(name)
    return _EXERCISE.format(
        name=name,
        others=_OTHERS.format(page=bugs) if bugs in pages else "",
        minutes=options.get("minutes", 10),
        difficulty=options.get("difficulty", 2),
        importance=options.get("importance", 3),
        stub=stub(source, options.get("sentence", ""), tuple(options.get("given", ()))),
        hints="\n".join(
            _HINT.format(number=number, text=text.strip())
            for number, text in enumerate(options.get("hints", ()), start=1)
        ),
        source=source,
        code=match["code"],
    )
