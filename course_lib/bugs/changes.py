"""A change to a text: lines that stand in it, and what they become.

    @ def reset               look only below this line (for lines that stand in the text twice)
    = self.capacity = n       stays: says where
    - self.length = 0         goes
    + self.keys.zero_()       comes

A change is one hunk or several, with a blank line between them. The lines of a hunk that stay or go
must stand in the text one after the other, and in one place only; blank lines and the indentation
of the whole hunk do not count. Hunks are found in the text as it was, so their order is free.
"""

from dataclasses import dataclass

STAYS, GOES, COMES, BELOW = "=-+@"
MARKS = STAYS + GOES + COMES + BELOW


class ChangeError(ValueError):
    """A change cannot be read, or does not fit the text; the message says which line of it."""


@dataclass(frozen=True)
class Hunk:
    """Lines with their marks, in order; `below` is a line that stands above them, or empty."""

    below: str
    lines: tuple[tuple[str, str], ...]  # (mark, line)

    @property
    def old(self) -> list[str]:
        """What must stand in the text, without indentation."""
        return [line.strip() for mark, line in self.lines if mark != COMES]


def read_change(text: str) -> list[Hunk]:
    """The hunks of a change.

    Raises:
        ChangeError: a line has no mark, or a hunk says nothing that stands in a text.
    """
    hunks = []
    for part in text.strip("\n").split("\n\n"):
        below, lines = "", []
        for line in part.splitlines():
            mark, rest = line[:1], line[2:]
            if mark not in MARKS or line[1:2].strip():
                raise ChangeError(f"a line of a change begins with one of {MARKS}, got {line!r}.")
            if mark == BELOW:
                below = rest.strip()
            else:
                lines.append((mark, rest))
        hunk = Hunk(below, tuple(lines))
        if not hunk.old:
            raise ChangeError(f"a hunk must name a line that stands in the text, got {part!r}.")
        hunks.append(hunk)
    return hunks


def apply_change(change: str, text: str) -> str:
    """`text` after the change.

    Raises:
        ChangeError: a hunk stands nowhere in the text or in two places, or nothing changes.
    """
    changed = [line for mark, line in marked(change, text) if mark != GOES]
    if [*filter(str.strip, changed)] == [*filter(str.strip, text.splitlines())]:
        raise ChangeError("the change changes nothing.")
    return "\n".join(changed)


def marked(change: str, text: str) -> list[tuple[str, str]]:
    """Every line of `text` with what becomes of it: `=` stays, `-` goes, `+` comes."""
    lines = text.splitlines()
    places = [(_place(hunk, lines), hunk) for hunk in read_change(change)]
    result, done = [], 0
    for place, hunk in sorted(places, key=lambda found: found[0][0]):
        if place[0] < done:
            raise ChangeError(f"two hunks speak of one line: {lines[place[0]].strip()!r}.")
        result += [(STAYS, line) for line in lines[done : place[0]]]
        result += _in_place(hunk, lines, place)
        done = place[-1] + 1
    return result + [(STAYS, line) for line in lines[done:]]


def _place(hunk: Hunk, lines: list[str]) -> list[int]:
    """The numbers of the lines that the hunk names."""
    first = 0
    if hunk.below:
        above = [number for number, line in enumerate(lines) if line.strip() == hunk.below]
        above = above or [n for n, line in enumerate(lines) if line.strip().startswith(hunk.below)]
        if len(above) != 1:
            raise ChangeError(_found(f"{BELOW} {hunk.below}", len(above)))
        first = above[0] + 1
    filled = [number for number, line in enumerate(lines) if line.strip() and number >= first]
    old = hunk.old
    starts = [
        start
        for start in range(len(filled) - len(old) + 1)
        if [lines[number].strip() for number in filled[start : start + len(old)]] == old
    ]
    if len(starts) != 1 and not (hunk.below and starts):
        raise ChangeError(_found(_first_strange(hunk, lines), len(starts)))
    return filled[starts[0] : starts[0] + len(old)]


def _found(line: str, count: int) -> str:
    advice = f" Say with {BELOW} which one is meant." if count else ""
    return f"must stand there exactly once, got {count} times: {line}{advice}"


def _first_strange(hunk: Hunk, lines: list[str]) -> str:
    """The first line of a hunk that does not stand in the text, else its first line."""
    there = {line.strip() for line in lines}
    named = [(mark, line.strip()) for mark, line in hunk.lines if mark != COMES]
    mark, line = next((one for one in named if one[1] not in there), named[0])
    return f"{mark} {line}"


def _in_place(hunk: Hunk, lines: list[str], place: list[int]) -> list[tuple[str, str]]:
    """The hunk's lines with the indentation that they have at its place."""
    first = next(line for mark, line in hunk.lines if mark != COMES)
    shift = _indentation(lines[place[0]]) - _indentation(first)
    numbers, result, last = iter(place), [], place[0] - 1
    for mark, line in hunk.lines:
        if mark == COMES:
            result.append((COMES, " " * (_indentation(line) + shift) + line.strip()))
            continue
        number = next(numbers)
        result += [(STAYS, blank) for blank in lines[last + 1 : number]]
        result.append((mark, lines[number]))
        last = number
    return result


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
