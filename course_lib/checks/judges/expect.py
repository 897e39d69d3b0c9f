"""Judges: functions from what was seen to a finding, or None when it is as it must be.

Shape, dtype, device and finiteness come before values, so that a message names the first thing
that went wrong and not its consequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .findings import Finding, number
from .seen import Malformed, Output, Remark, Seen
from .tolerances import BY_DTYPE, Tolerance

Judge = Callable[[Seen], Finding | None]

MOST_NAMES = 12  # of a state_dict, that a message tells
ROUNDED = 5e-7  # a difference of float32, where float64 was to be kept


def returns(
    *expected: np.ndarray,
    dtype: str,
    names: Sequence[str] = (),
    skip_values: bool = False,
    tolerance: Tolerance | None = None,
) -> Judge:
    """The component returns exactly these arrays: a tuple of them when there is more than one.

    Args:
        dtype: the floating dtype of the call ("numpy" for a NumPy component).
        names: what the returned values are called, for messages.
    """
    tolerance = tolerance or BY_DTYPE[dtype]

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen) or right_structure(seen, expected, names, dtype)
        if finding:
            return finding
        named = list(zip(seen.outputs, expected, _names(names, expected), strict=True))
        for steps in (right_kind, right_shape, right_dtype, _finite):
            for output, array, name in named:
                finding = steps(output, array, name, dtype)
                if finding:
                    return finding
        if skip_values:
            return None
        for output, array, name in named:
            finding = differs(output.array, array, tolerance, name)
            if finding:
                return finding
        return None

    return judge


def raises(kind: str, *mentions: str | tuple[str, ...]) -> Judge:
    """The component refuses the call with an error of class `kind`.

    Its text is the writer's own. Where it leaves out what a reader of it looks for, a remark says
    so, and costs nothing.

    Args:
        mentions: words that a good text holds; of a tuple, one of them.
    """
    choices = [(words,) if isinstance(words, str) else words for words in mentions]

    def judge(seen: Seen) -> Finding | None:
        error = seen.error
        if error is None:
            return Finding("no error was raised", expected=kind, got="a result")
        if _has_words_of_its_own(error):
            return no_error(seen)
        if kind not in error["classes"]:
            got = f"{error['type']}: {error['message']}{error['place']}"
            return Finding("another error was raised", expected=kind, got=got)
        text = error["message"]
        missing = [words for words in choices if not any(word in text for word in words)]
        if missing and not text.endswith("…"):  # the observer cuts a long one
            left_out = " and ".join(" or ".join(words) for words in missing)
            said = repr(text if len(text) <= 100 else text[:99] + "…") if text else "nothing"
            remark = f"the {kind} says {said}; its reader will look for {left_out}"
            seen.remarks.append(Remark(f"{remark}. That costs no points.", of_call=True))
        return None

    return judge


def _is_not_written(error: dict) -> bool:
    return error["type"] == "NotImplementedError" and not error["message"]  # torch's own say why


def _is_a_missing_name(error: dict) -> bool:
    return error["type"] in ("NameError", "UnboundLocalError") and bool(error["name"])


def _has_words_of_its_own(error: dict) -> bool:
    """Is it told as `no_error` does, even where another error is asked for?"""
    is_ours = error["type"] == "NotAsAsked"
    return is_ours or _is_not_written(error) or _is_a_missing_name(error)


def also(*judges: Judge) -> Judge:
    """The first finding of several judges."""

    def judge(seen: Seen) -> Finding | None:
        return next(filter(None, (one(seen) for one in judges)), None)

    return judge


def no_error(seen: Seen) -> Finding | None:
    """The call ended without an error."""
    error = seen.error
    if error is None:
        return None
    if _is_not_written(error):
        return Finding("not written yet", how="not written")
    if error["type"] == "NotAsAsked":  # the observer's word: nothing was raised by the component
        return Finding(error["message"], how="type")
    if _is_a_missing_name(error):
        where = f"{error['message']}{error['place']}"
        what_to_do = "no cell of yours defines it: define it in the one that uses it"
        return Finding(
            f"the name {error['name']!r} is not defined",
            details=(where, what_to_do) if error["type"] == "NameError" else (where,),
            how="name",
        )
    details = (f"{error['message']}{error['place']}",)
    return Finding(f"raised {error['type']}", details=details, how=_how_it_ended(error))


def _how_it_ended(error: dict) -> str:
    """The kind of an error: torch says of writing in place what was wrong with it."""
    if "requires grad" in error["message"] and "in-place" in error["message"]:
        return "written while recorded"
    if "modified by an inplace operation" in error["message"]:
        return "written over"
    return "refused" if error["refuses"] else "raised"


def arguments_unchanged(names: Sequence[str]) -> Judge:
    """The component has not written into what it was given."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        changed = [names[n] for n in seen.changed if 0 <= n < len(names)]
        if changed:
            return Finding(
                f"{', '.join(changed)} was changed in place",
                expected="the arguments as they were before the call",
                got=f"something else in {', '.join(changed)}",
                how="changed",
            )
        return None

    return judge


def same_device(seen: Seen) -> Finding | None:
    """Every tensor the component makes is made where its inputs are."""
    finding = no_error(seen)
    if finding:
        return finding
    mixed, outputs = seen.flag("mixed_devices"), seen.flag("unplaced_outputs")
    if not isinstance(mixed, list) or not isinstance(outputs, list):
        raise Malformed("devices")
    if mixed or outputs:
        where = f"used in {str(mixed[0])[:40]}" if mixed else "returned"
        return Finding(
            "a tensor is made on the default device",
            expected="device=… wherever a tensor is made: that of the inputs, or the one given",
            got=f"one made without it, then {where}",
            how="device",
        )
    return None


def gradients_are(expected: dict[str, np.ndarray], dtype: str, labels: dict[str, str]) -> Judge:
    """Gradients flow through the component and have these values."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        found = seen.gradients
        for key, array in expected.items():
            label = labels.get(key, key)
            gradient = found.get(key)
            if gradient is None:
                return Finding(
                    f"no gradient reaches {label}",
                    expected=f"a gradient of shape {array.shape}",
                    got="None: something on the way was detached",
                    how="no gradient",
                )
            if gradient.shape != array.shape:
                return _wrong_shape(f"the gradient of {label}", array.shape, gradient.shape)
            name = f"the gradient of {label}"
            finding = _finite_array(gradient, name)
            if finding:
                return finding
            finding = differs(gradient, array, BY_DTYPE[dtype], name)
            if finding:
                return finding if finding.how == "few digits" else replace(finding, how="gradient")
        return None

    return judge


def parameters_are(expected: dict[str, tuple[int, ...]]) -> Judge:
    """The module's `state_dict` holds exactly these names and shapes, all of them trainable."""

    def judge(seen: Seen) -> Finding | None:
        if seen.error and seen.flag("parameters") is None:
            return no_error(seen)
        found, trainable = seen.parameters, seen.flag("trainable")
        trainable = set(trainable if isinstance(trainable, list) else [])
        if found.keys() != expected.keys():
            return wrong_names(found, expected, trainable)
        for name, shape in expected.items():
            if found[name] != shape:
                return Finding(f"wrong shape of {name}", str(shape), str(found[name]), how="names")
        unlearned = sorted(set(expected) - trainable)
        if unlearned:
            return _not_learned(unlearned[0], seen)
        return None

    return judge


def wrong_names(found: dict, expected: dict, trainable: set) -> Finding:
    """What of a `state_dict` is missing, and what is there besides."""
    missing = [name for name in expected if name not in found]
    surplus = [name for name in found if name not in expected]
    are_buffers = not missing and not trainable.intersection(surplus)
    return Finding(
        "wrong names in state_dict()",
        details=(
            *([f"missing: {_listing(expected, missing)}"] if missing else []),
            *([f"surplus: {_listing(found, surplus)}"] if surplus else []),
        ),
        how="saved" if are_buffers else "names",
    )


def _not_learned(name: str, seen: Seen) -> Finding:
    """A name of the `state_dict` that `named_parameters()` leaves out."""
    names = seen.flag("same_tensor")
    first = names.get(name) if isinstance(names, dict) else None
    if isinstance(first, str):
        return Finding(
            f"{name} is the same tensor as {first[:60]}",
            expected="a parameter of its own",
            got="one parameter with two names",
            how="one tensor",
        )
    what = f"{name} is not a parameter"
    return Finding(what, expected="an nn.Parameter", got="a buffer", how="not learned")


def differs(
    got: np.ndarray, expected: np.ndarray, tolerance: Tolerance, name: str = ""
) -> Finding | None:
    """Where `got` is farther from `expected` than the tolerance: the first place and the count."""
    got, wanted = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    wrong = ~np.isclose(got, wanted, rtol=tolerance.relative, atol=tolerance.absolute)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    few_digits = tolerance.relative < ROUNDED and np.allclose(
        got, wanted, rtol=ROUNDED, atol=ROUNDED * size, equal_nan=True
    )
    as_shown = np.asarray(expected).dtype == bool
    show = (lambda x: str(bool(x))) if as_shown else number
    if show(wanted[place]) == show(got[place]):
        show = "{:.12g}".format  # they differ further back
    return Finding(
        f"wrong value{at(name, place)}",
        expected=show(wanted[place]),
        got=show(got[place]),
        details=(f"{int(wrong.sum())} of {wrong.size} values differ",) if wrong.size > 1 else (),
        how="few digits" if few_digits else "value",
        arrays=(wanted, got),
    )


def at(name: str, place: tuple[int, ...]) -> str:
    """` in weights at [0, 3]`, with the parts there are."""
    where = f" at [{', '.join(map(str, place))}]" if place else ""
    return (f" in {name}" if name else "") + where


def _names(names, expected) -> list[str]:
    return list(names) or [""] * len(expected)


def right_structure(seen: Seen, expected, names, dtype: str) -> Finding | None:
    if len(expected) == 1:
        if seen.structure in ("tuple", "list"):
            return Finding(
                f"a {seen.structure} came back",
                expected="one NumPy array" if dtype == "numpy" else "one tensor",
                got=f"a {seen.structure} of {seen.n_parts}",
                how="type",
            )
        return None
    if seen.structure not in ("tuple", "list") or seen.n_parts != len(expected):
        is_many = seen.structure in ("tuple", "list")
        return Finding(
            "wrong return value",
            expected=f"({', '.join(names)})" if names else f"a tuple of {len(expected)}",
            got=f"a {seen.structure} of {seen.n_parts}" if is_many else f"one {seen.structure}",
            how="nothing" if seen.structure == "NoneType" else "type",
        )
    if seen.structure == "list":
        remark = "a list came back where a tuple was to come. That costs no points."
        seen.remarks.append(Remark(remark))
    return None


def right_kind(output: Output, array, name, dtype) -> Finding | None:
    wanted = "array" if dtype == "numpy" else "tensor"
    if output.array is None or output.kind != wanted:
        if output.dtype == "NoneType":
            return Finding(
                "nothing came back",
                expected=f"a {wanted}",
                got="None (return is missing)",
                how="nothing",
            )
        noun = {"array": "a NumPy array", "tensor": "a torch tensor of real numbers"}[wanted]
        return Finding(f"wrong type{at(name, ())}", expected=noun, got=output.dtype, how="type")
    return None


def right_shape(output: Output, array, name, dtype) -> Finding | None:
    if output.array.shape != array.shape:
        return _wrong_shape(name, array.shape, output.array.shape)
    return None


def _wrong_shape(name, expected, got) -> Finding:
    what = f"wrong shape{at(name, ())}"
    return Finding(what, expected=str(tuple(expected)), got=str(tuple(got)), how="shape")


def right_dtype(output: Output, array, name, dtype) -> Finding | None:
    wanted = "bool" if array.dtype == bool else {"numpy": "float64"}.get(dtype, dtype)
    if output.dtype != wanted:
        how = {"bool": "not boolean", "int64": "not whole"}.get(wanted, "dtype")
        return Finding(f"wrong dtype{at(name, ())}", expected=wanted, got=output.dtype, how=how)
    return None


def _finite(output: Output, array, name, dtype) -> Finding | None:
    return _finite_array(output.array, name)


def _finite_array(array: np.ndarray, name: str) -> Finding | None:
    finite = np.isfinite(array)
    if finite.all():
        return None
    place = tuple(int(i) for i in np.argwhere(~finite)[0])
    count = int((~finite).sum())
    return Finding(
        f"not a finite number{at(name, place)}",
        expected="a finite number",
        got=number(array[place]),
        details=(f"{count} of {array.size} values are nan or infinite",),
        how="not finite",
    )


def _listing(shapes: dict, names: list[str]) -> str:
    shown = [f"{name[:60]} {str(shapes[name])[:40]}" for name in names[:MOST_NAMES]]
    n_more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {n_more} more" if n_more else "")
