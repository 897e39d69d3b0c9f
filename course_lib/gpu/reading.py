"""Reading a record: rows by name, numbers as one says them, tables in Markdown."""

from collections.abc import Iterable


def rows_of(record: dict, section: str) -> dict[str, dict]:
    """The rows of a section by name; none where it was not measured."""
    return {row["name"]: row for row in record["sections"].get(section, {}).get("rows", [])}


def missing(record: dict, section: str) -> str:
    """Why a section has no rows."""
    found = record["sections"].get(section)
    reason = f"{found['state']}, {found['reason']}" if found else "it was not asked for"
    return f"Not measured ({section}: {reason})."


def best(record: dict, name: str) -> float | None:
    """One of the card's own limits, per second."""
    return rows_of(record, "machine").get(name, {}).get("per_second", {}).get("median")


def table(head: dict[str, str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table in Markdown, each column with how it is aligned."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(head.values())}|"]
    for row in rows:
        cells = [str(cell).replace("|", "\\|") for cell in row]
        cells += [""] * (len(head) - len(cells))  # an error takes the place of the numbers
        lines.append(f"| {' | '.join(cells)} |")
    return lines


LEFT, RIGHT = "---", "---:"


def share(done: float, most: float | None) -> str:
    """What part of the most it is."""
    return f"{done / most:.1%}" if most else "—"


def between(spread: dict) -> str:
    """The median, with lowest and highest."""
    return f"{count(spread['median'])} ({count(spread['low'])} to {count(spread['high'])})"


def count(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def tera(rate: float) -> str:
    """A rate with its prefix: `790 T`."""
    return f"{rate / 1e12:,.3g} T" if rate >= 1e12 else f"{rate / 1e9:,.3g} G"


def power(number: float | None) -> str:
    return "" if number is None else f"{number:.1e}"
