"""What to tell somebody whose word is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is most like `word`, as a question; all of them where none is.

    >>> did_you_mean("layernorm", ["layer_norm", "LayerNorm", "gelu"])
    'Did you mean LayerNorm?'
    >>> did_you_mean("xyz", ["layer_norm", "gelu"])
    'Known: layer_norm, gelu.'
    """
    known = list(known)
    lowered = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f"Did you mean {lowered[near[0]]}?" if near else f"Known: {', '.join(known)}."
