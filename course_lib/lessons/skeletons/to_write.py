"""What a skeleton leaves to be written: every such place holds the same words."""

from pathlib import Path

# Where a new component is written about, in the order in which to go on.
_PLACES = (
    *("course_lib/transformer", "course_lib/checks/oracles", "course_lib/checks/lessons"),
    *("course_lib/bugs", "tests/right_variants", "tests/bugs_written_differently"),
    *("tests/wrong_answers", "book"),
)


def to_write(name: str, what: str) -> str:
    """What stands in a skeleton in place of a text that only its author knows."""
    return f"TO WRITE for {name}: {what}"


def left_to_write(root: Path, name: str = "") -> list[str]:
    """All that is still to be written, with its place: of one component, or of all."""
    words = to_write(name, "") if name else "TO WRITE for "
    found = []
    for folder in _PLACES:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".md"):
                lines = path.read_text(encoding="utf-8").splitlines()
                found += [
                    f"{path.relative_to(root)}:{number}: {_told(line, name)}"
                    for number, line in enumerate(lines, start=1)
                    if words in line
                ]
    return found


def _told(line: str, name: str) -> str:
    rest = line.partition("TO WRITE for ")[2]
    rest = rest.removeprefix(f"{name}: ") if name else rest
    return rest.partition('"')[0].strip()
