"""The numbers that a lesson's prose states, and what on its page they can come from.

A number counts if it has decimals, a percent sign or thousands: `0.47`, `70 %`, `50,257`. It is
accounted for if the page's code or output holds it, or a number that rounds to it; if the prose
itself works it out, as in `54.6/55.6 = 0.98`; or if it has a reason in `test_prose.py`. Sections of
papers do not count, nor do quizzes, whose wrong answers are wrong.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup

from course_lib.lessons.text import read_lesson

_NUMBER = re.compile(
    r"(?<![\w.,#/])(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+(?=\s?%))(?P<percent>\s?%)?"
    r"(?!\w|\.\d)"
)
# In code, `1e-5`, `20_000` and `.5` are numbers, too.
_IN_CODE = re.compile(r"(?<![\w.])-?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?%?")
_UNSEEN = re.compile(
    r"```.*?```|`[^`\n]*`|\]\([^)]*\)|^:::\{quiz\}.*?^:::$|^\$\$.*?\$\$", re.DOTALL | re.MULTILINE
)
_DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{(?!quiz)\w+\}[^\n]*\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"\bsections? [\d.]+\d(?: and [\d.]+\d)?")
_OPERATION = re.compile(
    r"(?<![\w^()√½.])(?P<left>(?:ln|e(?=[²³⁴])|[-0-9.·+*/()√½²³⁴ ])+?)\s*[=≈]\s*"
    r"(?P<right>-?\d+(?:[.,]\d+)*)(?![.,]?\d| *[·+*/%-]| million)"
)


def stated(lesson: Path) -> list[str]:
    """The numbers in a lesson's prose, as written, in order; one may stand there often."""
    text = "\n\n".join(cell.source for cell in read_lesson(lesson) if cell.kind == "markdown")
    text = _SECTION.sub(" ", _UNSEEN.sub(" ", _DIRECTIVE.sub(r"\2", text)))
    return [match["digits"] + (match["percent"] or "").strip() for match in _NUMBER.finditer(text)]


def computed(page: Path) -> list[float]:
    """All numbers in the code and in the output of a page of the site."""
    html = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    pieces = html.select("div.cell_input, div.cell_output, div.highlight")
    return sorted({value for piece in pieces for value in _values(piece.get_text())})


def worked_out(lesson: Path) -> Iterator[tuple[str, str, float]]:
    """What the prose works out: left side and right side as written, and what the left comes to."""
    for cell in read_lesson(lesson):
        if cell.kind == "markdown":
            plain = (
                cell.source.replace("−", "-")
                .replace("**", "")
                .replace("$", "")
                .replace("½", "(1/2)")
            )
            for match in _OPERATION.finditer(plain):
                value = _value(match["left"])
                if value is not None:
                    yield match["left"].strip(), match["right"], value


def accounts_for(value: float, number: str) -> bool:
    """Whether `number`, as written, is `value`, rounded to as many digits."""
    if number.endswith("%"):
        shown = number[:-1].replace(",", "")
        return _rounds_to(value, shown) or _rounds_to(100 * value, shown)
    return _rounds_to(value, number.replace(",", ""))


def _rounds_to(value: float, shown: str) -> bool:
    decimals = len(shown.partition(".")[2])
    # Half a unit, and a hair for the halves that rounding may send either way.
    return abs(abs(value) - abs(float(shown))) <= 0.5001 * 10**-decimals


def _values(text: str) -> Iterator[float]:
    for match in _IN_CODE.finditer(text.replace("−", "-")):
        word = match[0].rstrip("%,").replace("_", "").replace(",", "")
        try:
            yield float(word)
        except ValueError:
            continue


def _value(expression: str) -> float | None:
    """What an expression of numbers comes to; None if it is none, or a single number."""
    expression = expression.strip()
    if not re.search(r"\d\s*[·+*/-]|[²³⁴√]|ln", expression) or "," in expression:
        return None
    for sign, power in zip("²³⁴", (2, 3, 4), strict=True):
        expression = expression.replace(sign, f"**{power}")
    expression = re.sub(r"(√|ln)\s*(\([^()]*\)|[\d.]+)", r"\1(\2)", expression.replace("·", "*"))
    expression = expression.replace("√", "sqrt")
    if not re.fullmatch(r"(?:sqrt|ln|e|[-\d.+*/() ])+", expression):
        return None
    try:
        return float(eval(expression, {"sqrt": math.sqrt, "ln": math.log, "e": math.e}))
    except (SyntaxError, ArithmeticError, TypeError, ValueError):
        return None
