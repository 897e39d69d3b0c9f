"""How a call is shown in a message: the shapes of arrays, small numbers as they are."""

import numpy as np


def show(value, name: str = "") -> str:
    if isinstance(value, dict):  # a fixture
        return name or "…"
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iu" and value.size <= 6:
            return f"{name} {value.tolist()}".strip()
        if value.dtype.kind in "iu" and value.ndim == 1:
            return f"{name} [{value[0]}, {value[1]}, …, {value[-1]}]".strip()
        return f"{name} {show_shape(value)}".strip()
    return repr(value)


def show_arrays(args, names) -> str:
    shown = []
    for n, value in enumerate(args):
        if isinstance(value, np.ndarray):
            name = "ids" if value.dtype.kind == "i" else names[min(n, len(names) - 1)]
            shown.append(f"{name} {show_shape(value)}")
        else:
            shown.append(repr(value))
    return ", ".join(shown)


def show_shape(array: np.ndarray) -> str:
    return "×".join(map(str, array.shape)) or "scalar"
