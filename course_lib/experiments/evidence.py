"""The page Evidence: every experiment, what is claimed of it, and what its runs gave.

The page in the book is text with one place that is filled: `course experiments` does it, and a test
holds the page to the records.
"""

import re
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.lessons.text import lesson_title

from .experiment import Claim, Experiment
from .page_code import BOOK
from .records import FOLDER, Recorded, read_record

PAGE = BOOK / "evidence.md"
BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"
_PLACE = re.compile(f"{BEGIN}.*?{END}", re.DOTALL)


def filled(text: str, wanted: dict[str, Experiment], folder: Path = FOLDER) -> str:
    """The page's text with its place made of the records."""
    return _PLACE.sub(lambda _: f"{BEGIN}\n\n{_body(wanted, folder)}\n\n{END}", text)


def write_page(wanted: dict[str, Experiment]) -> bool:
    """Fill the page; whether that changed it."""
    text = PAGE.read_text("utf-8")
    new = filled(text, wanted)
    if new != text:
        write_atomically(PAGE, new)
    return new != text


def _body(wanted: dict[str, Experiment], folder: Path) -> str:
    records = {name: read_record(name, folder) for name in wanted}
    there = {name: Recorded(record) for name, record in records.items() if record}
    n_claims = sum(len(wanted[name].claims) for name in there)
    n_runs = sum(len(runs) for r in there.values() for runs in r.record["arms"].values())
    minutes = sum(r.record["seconds"] for r in there.values()) / 60
    parts = [
        f"{n_claims} claims rest on {len(there)} experiments of {n_runs} runs, which take "
        f"{minutes:.0f} minutes of one core."
    ]
    lesson = None
    for name, runs in there.items():
        if wanted[name].lesson != lesson:
            lesson = wanted[name].lesson
            title = lesson_title(BOOK / f"{lesson}.md")
            parts.append(f"## {title}\n\nThe lesson: {{doc}}`{lesson}`.")
        parts.append(_section(name, wanted[name], runs))
    return "\n\n".join(parts)


def _section(name: str, experiment: Experiment, runs: Recorded) -> str:
    said = [_claim(claim, runs) for claim in experiment.claims]
    record = runs.record
    foot = (
        f"`{name}`: {runs.n_seeds} seeds, {record['seconds']} s, {record['date']}, "
        f"torch {record['torch']}, {record['machine']}."
        + (f" {experiment.why_so_few}" if experiment.why_so_few else "")
    )
    return "\n\n".join(
        [f"({anchor(name)})=\n### {experiment.question}", "\n".join(said), _table(runs), foot]
    )


def anchor(name: str) -> str:
    """Where an experiment stands on the page, for the lessons to link to."""
    return f"evidence-{name.replace('_', '-')}"


def _claim(claim: Claim, runs: Recorded) -> str:
    outcome = "**Does not hold:** " if not claim.holds(runs) else ""
    return f"- {outcome}{'**Not found:** ' if claim.not_found else ''}{claim.says(runs)}"


def _table(runs: Recorded) -> str:
    measures = [
        m for m in runs.measures if any(runs.has(a, m) and runs[a, m].ndim == 1 for a in runs.arms)
    ]
    lines = ["| | " + " | ".join(measures) + " |", "|---" * (len(measures) + 1) + "|"]
    for arm in runs.arms:
        cells = [runs.cell(arm, m) if runs.has(arm, m) else "" for m in measures]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
