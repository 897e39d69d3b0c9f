"""What is wrong, and how it is said: one place, expected before got, how many, a hint."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...lines import FIRST_LINE, OTHER_LINES, wrapped


@dataclass(frozen=True)
class Finding:
    """One broken rule. `what` refines the property's rule ("wrong value at [0, 3]").

    Args:
        how: in which way, by the names in `verdict/hints.py`: the hint follows from it.
        within: what belongs to the call besides, where it was made in several ways; whoever
            repeats the call needs it.
        arrays: where values are wrong, all that were expected and all that came.
    """

    what: str
    expected: str = ""
    got: str = ""
    details: tuple[str, ...] = field(default=())
    how: str = "value"
    within: str = ""
    arrays: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)


def render(
    component: str, rule: str, finding: Finding, shown: str, names: Sequence[str], look_at: str
) -> str:
    """The text a learner reads when `rule` does not hold of `component`.

    Args:
        shown: the call, as a learner would type it.
        names: of the mistakes that it agrees with.
        look_at: what to look at, the last line.
    """
    headline = f"{shown or component}: {finding.what}"
    lines = []
    if shown and len(headline) > FIRST_LINE:
        headline = f"{component}: {finding.what}"
        lines.append(f"call: {shown}")
    if rule != finding.what:
        lines.insert(0, f"rule: {rule}")
    if finding.expected:
        lines.append(f"expected: {finding.expected}")
    if finding.got:
        lines.append(f"got:      {finding.got}")
    lines += finding.details
    if names:
        lines.append("agrees with: " + "; or: ".join(names))
    if look_at:
        lines.append(look_at)
    first, *overflow = wrapped(headline, FIRST_LINE)
    return "\n".join([first, *["  " + more for more in overflow], *_body(lines)])


def render_notes(notes) -> str:
    """What is worth knowing and breaks no rule, a line each."""
    return "\n".join(_body([f"note: {note}" for note in notes]))


def _body(lines: list[str]) -> list[str]:
    body = []
    for line in lines:
        body += wrapped(line, OTHER_LINES, first="  ", rest="    ") or [""]
    return body


def number(value) -> str:
    """A value as a learner would type it: short, and never losing nan, inf or a bool."""
    if np.asarray(value).dtype.kind == "b":
        return str(bool(value))
    return f"{float(value):.6g}"
