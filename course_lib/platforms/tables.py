"""A table as a platform exports it: any of their encodings, each cell as it was until it is set."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import PlatformError

MAX_BYTES = 50 * 2**20
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass
class _Cell:
    raw: str  # as it stands in the file, with its quotes
    end: str  # what follows: a delimiter, a line's end, or nothing at the end of the file

    @property
    def text(self) -> str:
        if not self.raw.startswith('"'):
            return self.raw
        inner, tail = _QUOTED.fullmatch(self.raw).groups()
        return inner.replace('""', '"') + tail


_QUOTED = re.compile(r'"((?:[^"]|"")*)"(.*)', re.S)


class Table:
    """The rows of a CSV file below its header; what is not set is written as it was read.

    Args:
        content: the file's bytes: UTF-8, UTF-16 or Windows-1252, with or without a mark of it.
        name: how messages call the file.

    Raises:
        PlatformError: it is no table.
    """

    def __init__(self, content: bytes, name: str):
        self.name = name
        text, self._encoding, self._mark = _decoded(content, name)
        named = re.match(r"sep=(.)(?:\r\n|\r|\n)", text)
        self._before = named[0] if named else ""
        text = text.removeprefix(self._before)
        self._lines = list(_lines(text, named[1] if named else _delimiter(text), name))
        filled = [line for line in self._lines if _is_filled(line)]
        if not filled:
            raise PlatformError(f"{name} must be a table with a row of headings, got no row")
        self.headings = [cell.text.strip() for cell in filled[0]]
        self._rows = filled[1:]

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, number: int) -> list[str]:
        """The cells of a row, as many as there are headings."""
        cells = [cell.text for cell in self._rows[number]]
        return (cells + [""] * len(self.headings))[: len(self.headings)]

    def set(self, number: int, column: int, text: str) -> None:
        """Give a cell another text.

        Raises:
            PlatformError: the row ends before that column.
        """
        row = self._rows[number]
        if column >= len(row):
            raise PlatformError(
                f"{self.name}: every row must reach to the column {self.headings[column]!r}, "
                f"got {row[0].text.strip()!r} with {len(row)} cells"
            )
        is_quoted = row[column].raw.startswith('"') or re.search(r'[",;\t\r\n]', text)
        row[column].raw = '"' + text.replace('"', '""') + '"' if is_quoted else text

    def content(self) -> bytes:
        """The whole file."""
        text = "".join(cell.raw + cell.end for line in self._lines for cell in line)
        return self._mark + (self._before + text).encode(self._encoding)


def read_table(path: Path) -> Table:
    """The table at `path`.

    Raises:
        PlatformError: there is none, or it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PlatformError(f"{path} must be a table of at most {MAX_BYTES // 2**20} MB")
        return Table(path.read_bytes(), str(path))
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror}") from None


def _decoded(content: bytes, name: str) -> tuple[str, str, bytes]:
    """The text, its encoding, and the mark that it began with."""
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    start = content[:200]
    guesses = ["utf-8", "cp1252"]
    if mark:
        guesses = [_MARKS[mark]]
    elif start.count(0) > len(start) / 3:  # half of what people write is zeros in UTF-16
        guesses = ["utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"]
    for encoding in guesses:
        try:
            return content[len(mark) :].decode(encoding), encoding, mark
        except UnicodeDecodeError:
            continue
    raise PlatformError(f"{name} must be text in UTF-8, UTF-16 or Windows-1252: save it as UTF-8")


def _delimiter(text: str) -> str:
    """What separates the cells of the first line that is not empty."""

    def n_cells(mark: str) -> int:
        lines = (line for line in _lines(text, mark, "") if _is_filled(line, but=",;"))
        return len(next(lines, []))

    return max(",;\t", key=n_cells)


def _is_filled(line: list[_Cell], but: str = "") -> bool:
    """Whether anything stands in a line but spaces, and what `but` names."""
    return any(cell.text.translate(str.maketrans("", "", but)).strip() for cell in line)


def _lines(text: str, mark: str, name: str) -> Iterator[list[_Cell]]:
    """The cells, line by line; a line's end inside quotes is a part of its cell."""
    other = rf"[^{re.escape(mark)}\r\n]*"
    pattern = re.compile(
        rf'("[^"]*(?:""[^"]*)*"{other}|(?!"){other})({re.escape(mark)}|\r\n|\r|\n|\Z)'
    )
    at, line = 0, []
    while at < len(text) or (line and line[-1].end == mark):
        found = pattern.match(text, at)
        if found is None:
            if not name:
                return
            number = text.count("\n", 0, at) + 1
            raise PlatformError(
                f"{name}: every quote must end, got one in line {number} that does not"
            )
        at = found.end()
        line.append(_Cell(*found.groups()))
        if line[-1].end != mark:
            yield line
            line = []
