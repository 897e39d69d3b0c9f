"""What a submission says in words, taken out of a reply before a student reads of it.

Where a part that failed is replaced by ours, the answer after it can read our text and hand it out,
a message at a time. So of such a reply only what the judge says is shown. It is judged whole.
"""

import builtins
from collections.abc import Collection, Mapping

from ..lines import LONGEST_LINE, wrapped

LONGEST = 24  # characters of a name, or of a short value, that are shown all the same
HIDDEN = "(its words are not shown)"


def note_beside(ours: Collection[str]) -> str:
    """What a student is told about it, with the names of the parts that stand in."""
    text = (
        f"  note: what your code says is not shown here, for {', '.join(ours)} did not pass and "
        "ours stands in; at the desk it is"
    )
    return "\n".join(wrapped(text, LONGEST_LINE, rest="    "))


def without_words(reply: Mapping) -> dict:
    """The same reply, with nothing in it that a submission could have written at length."""
    seen = reply.get("observations")
    observations = [_plain(each) for each in seen] if isinstance(seen, list) else seen
    told = reply.get("status") in ("refused", "failed")
    words = {"message": f"the cell could not be run {HIDDEN}"} if told else {}
    return {**reply, "observations": observations, **words}


def _plain(value):
    if isinstance(value, str):
        return value if len(value) <= LONGEST else "…"
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    plain = {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value.get("error"), Mapping):
        plain["error"] = _error(value["error"])
    return plain


def _error(error: Mapping) -> dict:
    kind = error.get("type")
    is_known = isinstance(kind, str) and hasattr(builtins, kind)
    return {
        **error,
        "type": kind if is_known else "an error of its own",
        "message": HIDDEN if error.get("message") else "",
        "place": "",
        "name": _plain(error.get("name")),
    }
