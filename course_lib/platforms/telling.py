"""What a run has to say, as lines for a terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .collecting import TIMES, Report
from .handing_back import Written

_SHOWN = 20  # names in one line


def of_collecting(report: Report, submitted: Path) -> Iterator[str]:
    """Who is there, who is not, and what stayed as it is; problems are told elsewhere."""
    yield f"From {', '.join(dict.fromkeys(report.platforms))}:"
    yield f"  {len(report.collected)} collected, {len(report.unchanged)} there already"
    for line in report.replaced:
        yield f"  {line}"
    if report.older:
        yield f"  Older ones, not taken: {_names(report.older)}"
    for line in report.kept:
        yield f"  Left as it is: {line}"
    if report.missing:
        yield f"  Missing, {len(report.missing)}: {_names(report.missing)}"
    if report.left:
        yield f"  Not needed, {len(report.left)} files: {_names(report.left)}"
    if report.times:
        yield f"  {report.times} times of handing in: {submitted / TIMES}"
    yield f"They lie in {submitted}."


def of_handing_back(written: Written) -> Iterator[str]:
    """What was written, and every cell and page that is not as one may think."""
    if filled := written.filled:
        yield f"{filled.scores} scores in the column {filled.heading!r}."
        for line in filled.replaced:
            yield f"  Another score stood there: {line}"
        for line in filled.left:
            yield f"  Left as it is: {line}"
        if filled.without:
            yield f"  No score, so nothing entered: {_names(filled.without)}"
        if filled.not_there:
            yield f"  With a score, and not in the file: {_names(filled.not_there)}"
        if filled.formulas:
            yield (
                f"  {filled.formulas} other cells begin as a formula does, as the platform wrote "
                "them: do not open the file in a spreadsheet"
            )
    if written.pages:
        yield f"{written.pages} pages of feedback."
    for line in written.without_page:
        yield f"  No page: {line}"
    for path in written.files:
        yield f"Written: {path}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more (--json names all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
