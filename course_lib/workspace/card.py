"""A verdict as Jupyter shows it: a card, with what helps to mend the answer folded away.

Everything else that shows outputs (a terminal, nbclient, a page made of the notebook) has the text.
Colour is never the only sign, and nothing here asks another host for anything.
"""

import re
from collections.abc import Sequence
from html import escape

import numpy as np

from course_lib.checks.judges.findings import Finding, number
from course_lib.checks.verdict.running import Failure

RIGHT, WRONG = "#2e7d32", "#c62828"
MOST_CELLS = 24  # of a side of a picture


class Card:
    """What a check says: `text` where only text is shown, `html` in a notebook."""

    def __init__(self, text: str, html: str):
        self.text, self.html = text, html

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def failure_card(
    component: str, failure: Failure, text: str, *, hints: Sequence[str], inputs: str, again: str
) -> Card:
    """The card of an answer that is wrong.

    Args:
        text: all that the check says.
        hints: of the exercise, shown one by one on request.
        inputs: what the failing call was given, as text; empty if no call was made.
        again: lines that make it once more.
    """
    finding = failure.finding
    said, _, look_at = failure.look_at.partition(": ")
    is_not_written = finding.how == "not written"
    verdict = "written yet" if is_not_written else f"right yet: {finding.what}"
    headline = f"✗ {component} is not {verdict}"
    rows = [
        ("the call", _code(failure.shown)),
        ("the rule", escape(failure.rule) if failure.rule != finding.what else ""),
        ("expected", _code(finding.expected)),
        ("got", _code(finding.got)),
        ("", "<br>".join(map(escape, finding.details))),
        ("agrees with", escape("; or: ".join(title for title, _ in failure.changes))),
        (said, escape(look_at)),
    ]
    folded = [
        ("A picture: expected, and what came", _picture(finding)),
        ("The inputs of this call", _code_block(inputs) + _code_block(again)),
        *(
            (f"What this mistake changes: {title}", _change(code))
            for title, code in failure.changes
        ),
        *_one_by_one(hints),
        ("The whole message", _block(text, "white-space:pre-wrap")),
    ]
    return Card(text, _framed(WRONG, headline, _table(rows) + "".join(map(_folded, folded))))


def success_card(text: str, lines: Sequence[str]) -> Card:
    """The card of an answer that is right.

    Args:
        text: all that the check says; its first line is the verdict.
        lines: what else there is to say, as HTML.
    """
    verdict, *others = text.splitlines()
    said = [*(escape(line.strip()) for line in others), *lines]
    body = "".join(f'<div style="margin:2px 0">{line}</div>' for line in said)
    return Card(text, _framed(RIGHT, f"✓ {verdict}", body))


# ---------------------------------------------------------------------------------- its parts


def _framed(colour: str, headline: str, body: str) -> str:
    style = f"border-left:4px solid {colour};padding:2px 12px;max-width:60em;overflow-wrap:anywhere"
    return (
        f'<div class="course-card" style="{style}"><strong>{escape(headline)}</strong>{body}</div>'
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of a name and HTML; one without HTML is left out."""
    cell = "text-align:left;vertical-align:top;padding:1px 8px 1px 0;white-space:normal;border:0"
    lines = [
        f'<tr style="background:none"><th scope="row" style="{cell};font-weight:normal">'
        f'{escape(name)}</th><td style="{cell}">{html}</td></tr>'
        for name, html in rows
        if html
    ]
    return f'<table style="margin:4px 0;border:0">{"".join(lines)}</table>'


def _folded(named: tuple[str, str]) -> str:
    """Something to open; nothing where there is nothing in it."""
    name, html = named
    if not html:
        return ""
    return f"<details><summary>{escape(name)}</summary>{html}</details>"


def _one_by_one(hints: Sequence[str]) -> list[tuple[str, str]]:
    """Each hint inside the one before, so that it is asked for by itself."""
    html = ""
    for n in range(len(hints), 0, -1):
        html = _folded((f"Hint {n}", f"<div>{_prose(hints[n - 1])}</div>{html}"))
    return [("Hints", html)] if html else []


def _prose(text: str) -> str:
    """A hint's Markdown, of which there is code between backticks and emphasis between stars."""
    parts = re.split(r"(`[^`]+`)", escape(text))
    return "".join(
        f"<code>{part[1:-1]}</code>" if n % 2 else re.sub(r"\*([^*]+)\*", r"<em>\1</em>", part)
        for n, part in enumerate(parts)
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _code_block(text: str) -> str:
    """Lines that stay whole: what does not fit is reached by scrolling, with the keyboard too."""
    return _block(text, "white-space:pre;overflow-x:auto", ' tabindex="0"')


def _block(text: str, style: str, more: str = "") -> str:
    return f'<pre style="{style};margin:4px 0"{more}>{escape(text)}</pre>' if text else ""


def _change(code: str) -> str:
    return "<div>- a right line, + what the mistake makes of it</div>" + _code_block(code)


def _picture(finding: Finding) -> str:
    """Two heat maps side by side, of the matrix in which the first wrong number stands."""
    if finding.arrays is None:
        return ""
    expected, got = finding.arrays
    if expected.ndim < 2 or max(expected.shape[-2:]) > MOST_CELLS or got.shape != expected.shape:
        return ""
    with np.errstate(invalid="ignore"):
        wrong = ~np.isclose(got, expected, rtol=1e-5, atol=1e-8, equal_nan=True)
    matrix = tuple(np.argwhere(wrong)[0][:-2]) if wrong.any() else (0,) * (expected.ndim - 2)
    both = np.stack([expected[matrix], got[matrix]])
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    where = f" (of {list(map(int, matrix))})" if matrix else ""
    maps = [
        f'<div style="display:inline-block;margin-right:24px;vertical-align:top">{name}{where}'
        f"{_heat_map(values, wrong[matrix], low, high)}</div>"
        for name, values in zip(("expected", "what came"), both, strict=True)
    ]
    note = f"light is {number(low)}, dark is {number(high)}; × marks what is wrong"
    return f'<div style="overflow-x:auto">{"".join(maps)}</div><div>{note}</div>'


def _heat_map(values: np.ndarray, wrong: np.ndarray, low: float, high: float) -> str:
    cell = "width:18px;height:18px;padding:0;text-align:center;border:1px solid #8888"
    rows = []
    for row, marks in zip(values, wrong, strict=True):
        cells = []
        for value, mark in zip(row, marks, strict=True):
            share = (value - low) / (high - low) if high > low and np.isfinite(value) else 0.0
            shade = round(255 - 200 * share)
            ink = "#000" if shade > 140 else "#fff"
            cells.append(
                f'<td title="{number(value)}" style="{cell};color:{ink};'
                f'background:rgb({shade},{shade},255)">{"×" if mark else ""}</td>'
            )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="border-collapse:collapse;margin:4px 0">{"".join(rows)}</table>'
