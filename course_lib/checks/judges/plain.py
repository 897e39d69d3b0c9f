"""Judges of components of plain Python: exactly this value, and how a value is shown."""

from ..observe.probes.plain import as_json
from .expect import Judge, arguments_unchanged, no_error
from .findings import Finding
from .seen import Seen

WIDEST = 200  # characters of a value that are shown whole


def returns_value(expected) -> Judge:
    """Exactly this value, of exactly these types."""
    wanted = as_json(expected)

    def judge(seen: Seen) -> Finding | None:
        return no_error(seen) or _difference(seen.value, wanted)

    return judge


def leaves_alone(*names: str) -> Judge:
    """The arguments of these names were not changed."""
    return arguments_unchanged(names)


def same_value(one, other) -> bool:
    """Are two values of JSON the same, and of the same types?"""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    return one == other


def _difference(got, wanted) -> Finding | None:
    if same_value(got, wanted):
        return None
    if got is None:
        return Finding(
            "nothing came back",
            expected=as_typed(wanted),
            got="None (is a return missing?)",
            how="nothing",
        )
    if _kind(got) != _kind(wanted):
        return Finding(
            "wrong type",
            expected=f"{_kind(wanted)}: {as_typed(wanted)}",
            got=_with_kind(got),
            how="type",
        )
    if not isinstance(wanted, (list, str)):
        return Finding("wrong value", expected=as_typed(wanted), got=as_typed(got))
    place = next(
        (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if not same_value(a, b)),
        min(len(got), len(wanted)),
    )
    if place < min(len(got), len(wanted)) and _kind(got[place]) != _kind(wanted[place]):
        return Finding(
            f"wrong type at [{place}]",
            expected=f"{_kind(wanted[place])}: {as_typed(wanted[place])}",
            got=_with_kind(got[place]),
            how="type",
        )
    lengths = f"a length of {len(got)} instead of {len(wanted)}"
    details = () if len(got) == len(wanted) else (lengths,)
    return Finding(
        f"wrong value at [{place}]",
        expected=as_typed(wanted, place),
        got=as_typed(got, place),
        details=details,
    )


def _kind(value) -> str:
    if isinstance(value, dict):
        return "a tuple" if "tuple" in value else str(value.get("other"))[:80]
    name = type(value).__name__
    return f"an {name}" if name == "int" else f"a {name}"


def _with_kind(value) -> str:
    is_other = isinstance(value, dict) and "other" in value
    return _kind(value) if is_other else f"{_kind(value)}: {as_typed(value)}"


def as_typed(value, place: int = 0) -> str:
    """A value as one would type it; of a long one, the part around `place`."""
    text = _typed(value)
    if len(text) <= WIDEST or not isinstance(value, (list, str)):
        return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
    first = max(0, place - 6)
    part = _typed(value[first : place + 12])
    return f"from [{first}] on: {part[:WIDEST]} …"


def _typed(value) -> str:
    if isinstance(value, dict):
        items = value.get("tuple")
        if not isinstance(items, list):
            return _kind(value)
        return f"({', '.join(map(_typed, items))}{',' if len(items) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    return repr(value)
