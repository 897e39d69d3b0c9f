"""A Sphinx extension: on the page, an exercise shows its stub, its hints and its folded source.

The lesson's text holds only an import line. Before Sphinx parses a lesson, that cell is replaced
by what a reader needs; the import itself still runs, unseen, so that the page shows what the
code does. In the same way the Reference is filled with the components.
"""

from collections.abc import Container
from pathlib import Path

from .addresses import REFERENCE, exercise_anchor
from .bug_pages import page_name
from .reference import fill_reference
from .source import component_source, stub
from .text import Cell, below, of_file, read_cells

_EXERCISE = """\
:::{{admonition}} Exercise: `{name}`
:class: exercise
:name: {anchor}

About {minutes} minutes · difficulty {difficulty} of 5 · importance {importance} of 5.

{links}

In the notebook of this lesson you write the part marked `YOUR CODE HERE`:
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

{imported}"""

_RULES = "What it must do: {{py:obj}}`{name}`"
_OTHERS = "{{doc}}`How this goes wrong </{page}>`"

_HINT = """\
````{{dropdown}} Hint {number}
{text}
````
"""

_UNSEEN = """\
```{{code-cell}} python
:tags: [{tags}]
{code}
```"""


def setup(app):
    """Sphinx calls this once."""
    # Here, as only Sphinx has what they need.
    from .letters import setup_letters
    from .opening import setup_opening
    from .pictures import setup_pictures
    from .quiz import setup_quiz
    from .terms import setup_terms

    app.connect("source-read", _on_source_read)
    setup_quiz(app)
    setup_pictures(app)
    setup_opening(app)
    setup_letters(app)
    setup_terms(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _on_source_read(app, docname, source) -> None:
    pages = app.env.found_docs
    with of_file(Path(app.env.doc2path(docname))):
        if docname == REFERENCE:
            source[0] = fill_reference(source[0], Path(app.srcdir), pages)
        else:
            source[0] = expand_exercises(source[0], pages)


def expand_exercises(text: str, pages: Container[str] = ()) -> str:
    """A lesson's MyST text with every exercise cell spelt out, and the set-up cell out of sight.

    Args:
        pages: names of the book's pages; an exercise links to the rules in the Reference and to
            its bugs, where there are such pages.
    """
    if "{code-cell}" not in text:
        return text
    lines = text.splitlines(keepends=True)
    for cell in reversed(read_cells(text)):
        with below(cell.line - 1):
            if cell.component:
                shown = _expand(cell, pages)
            elif "setup" in cell.tags:
                shown = _unseen(cell)
            else:
                continue
        lines[cell.line - 1 : _end(lines, cell)] = shown + "\n"
    return "".join(lines)


def _end(lines: list[str], cell: Cell) -> int:
    """The line of the fence that ends a code cell."""
    fence = lines[cell.line - 1].partition("{")[0]
    return next(n for n in range(cell.line + 1, len(lines) + 1) if lines[n - 1].strip() == fence)


def _unseen(cell: Cell) -> str:
    return _UNSEEN.format(tags=", ".join([*cell.tags, "remove-cell"]), code=cell.source)


def _expand(cell: Cell, pages: Container[str]) -> str:
    module, name = cell.component
    about, source = cell.about, component_source(module, name)
    links = [_RULES.format(name=name)] if REFERENCE in pages else []
    if page_name(name) in pages:
        links.append(_OTHERS.format(page=page_name(name)))
    return _EXERCISE.format(
        name=name,
        anchor=exercise_anchor(name),
        links=" · ".join(links),
        minutes=about["minutes"],
        difficulty=about["difficulty"],
        importance=about["importance"],
        stub=stub(source, about["sentence"], cell.given),
        hints="\n".join(
            _HINT.format(number=number, text=text.strip())
            for number, text in enumerate(about["hints"], start=1)
        ),
        source=source,
        imported=_unseen(cell),
    )
