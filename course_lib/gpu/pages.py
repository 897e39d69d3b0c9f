"""`python -m course_lib.gpu.pages`: README and book show what `record.json` holds.

A record of `make gpu` on a card is committed as `record.json` beside this file. In the pages a pair
of comments marks where a block of its tables stands; a test holds them to the record.
"""

import json
import re
from pathlib import Path

from course_lib.files import write_atomically

from .running import CHECKOUT
from .tables import block

RECORD = Path(__file__).with_name("record.json")
PAGES = ("README.md", "book/on_a_gpu.md")
PLACE = re.compile(r"(?P<begin><!-- gpu: (?P<name>\w+) -->\n).*?(?P<end><!-- gpu: end -->)", re.S)


def committed() -> dict | None:
    """The record that is committed; None as long as there is none."""
    return json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else None


def filled(text: str, record: dict | None) -> str:
    """A page's text with its blocks made of the record."""
    return PLACE.sub(lambda m: f"{m['begin']}\n{block(record, m['name'])}\n\n{m['end']}", text)


def main() -> None:
    record = committed()
    for name in PAGES:
        path = CHECKOUT / name
        text = path.read_text("utf-8")
        if (new := filled(text, record)) != text:
            write_atomically(path, new)
            print(f"{name} shows the record now.")


if __name__ == "__main__":
    main()
