"""What the checks of tokens share: texts that a careless hand breaks, and ids."""

from ...cases.draw import Draw

LESSON = "01_tokens_and_embeddings"

# Characters of one to four bytes, and all that a careless hand strips, folds, joins or translates.
ENGLISH = "to be or not to be, that is the question"
MANY_SCRIPTS = (
    "naïve café, Straße und İstanbul",
    "cafe\u0301 is not café, and ﬁ is not fi",
    "日本語 и русский, עברית",
    "👩‍👩‍👧 🇫🇷 👍🏽 emoji are made of several",
    " \t spaces\r\nand\n\nlines\u2028 \u00a0",
    "\ufeffmark, \x00 zero, \ufffd, \uffff and \U0010ffff",
)
UNKNOWN = "€жΩ漢🙂"  # characters in none of the texts
KNOWN_ELSEWHERE = "éßï"  # characters in texts of other tokenizers


def pick(draw: Draw, items, count: int) -> list:
    return [items[int(n)] for n in draw.integers(0, len(items) - 1, count)]


def few_ids(draw: Draw, count: int, n_different: int, start: int = 0) -> list[int]:
    return [start + int(n) for n in draw.integers(0, n_different - 1, count)]
