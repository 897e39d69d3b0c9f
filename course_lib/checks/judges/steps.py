"""Judges of a step of a script, and of the text that comes of it."""

from .expect import Judge, no_error
from .findings import Finding
from .seen import Malformed, Seen


def value_is(expected, what: str) -> Judge:
    """What is written down besides the outputs is exactly this, errors or not."""

    def judge(seen: Seen) -> Finding | None:
        if seen.value == expected:
            return None
        return Finding(f"wrong {what}", expected=_listed(expected), got=_listed(seen.value))

    return judge


def _listed(value) -> str:
    if isinstance(value, list):
        return ", ".join([*map(_listed, value[:8]), *(["…"] if len(value) > 8 else [])])
    if isinstance(value, dict):
        return f"a {str(value.get('other'))[:40]}"
    return str(value)[:40]


def either(judge: Judge, *others: Judge) -> Judge:
    """What the first judge finds, unless one of the others finds nothing."""

    def judged(seen: Seen) -> Finding | None:
        finding = judge(seen)
        return finding if finding and all(other(seen) for other in others) else None

    return judged


def ids_are(expected) -> Judge:
    """These token ids, exactly: those of the prompt, then the new ones."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen) or _wrong_ids(seen, expected.shape)
        if finding:
            return finding
        found = seen.outputs[0].array
        wrong = found != expected
        if not wrong.any():
            return None
        row, place = (int(i) for i in next(zip(*wrong.nonzero(), strict=True)))
        return Finding(
            f"wrong token at [{row}, {place}]",
            expected=f"{int(expected[row, place])} in {expected[row].tolist()}",
            got=f"{int(found[row, place])} in {found[row].tolist()}",
            details=(f"{int(wrong.sum())} of {wrong.size} tokens differ",),
        )

    return judge


def _wrong_ids(seen: Seen, shape: tuple[int, ...]) -> Finding | None:
    outputs = seen.outputs
    is_one = seen.structure not in ("tuple", "list") and len(outputs) == 1
    if not is_one or outputs[0].kind != "tensor":
        got = "None (return is missing)" if seen.structure == "NoneType" else f"a {seen.structure}"
        how = "nothing" if seen.structure == "NoneType" else "type"
        return Finding("wrong type", expected="a tensor of token ids", got=got, how=how)
    output = outputs[0]
    if output.array is None:
        raise Malformed("text")
    if output.array.shape != shape:
        got = str(output.array.shape)
        return Finding("wrong shape", expected=str(shape), got=got, how="shape")
    if output.dtype != "int64":
        return Finding("wrong dtype", expected="int64", got=output.dtype, how="not whole")
    return None


def are_ids_of_shape(shape: tuple[int, ...], also: Judge) -> Judge:
    """A tensor of token ids of this shape, which the other judge then looks at."""

    def judge(seen: Seen) -> Finding | None:
        return no_error(seen) or _wrong_ids(seen, shape) or also(seen)

    return judge
