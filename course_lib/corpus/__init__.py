"""The built-in text: small stories, as many as are wanted, that need no download.

words.py         the words there are, and which of them belong together
stories.py       the grammar: from a seed to a text, the same on every machine
dependencies.py  which word of a text depends on which earlier one, and whether it fits
"""

from .dependencies import Dependency, dependencies
from .stories import stories
from .words import ALPHABET, WORDS

__all__ = ["ALPHABET", "WORDS", "Dependency", "dependencies", "stories"]
