"""Plain data as bytes and back: what crosses between the grader and a submission.

A value is a tree of dicts, lists, strings, numbers, booleans and None with NumPy arrays as leaves.
Its bytes are a JSON header, then the arrays' raw bytes in the order of the header:

    b"wire" | length of the header (4 bytes) | header | first array | second array | ...

In the header a dict is `{"d": {...}}`, an array `{"a": [dtype, shape]}` and a number that JSON
lacks `{"f": "nan"}`, so no key of a dict can be taken for something else. The bytes come from an
attacker: nothing in them is ever executed, looked up or trusted for a size. Whatever is wrong with
them is a `WireError`, found before memory is taken.
"""

import json
import math
import os
import select
import struct
import time

import numpy as np

MAGIC = b"wire"
MAX_HEADER = 4 * 2**20
MAX_NODES = 2**18
MAX_DEPTH = 32
MAX_AXES = 16
MAX_AXIS = 2**31
MAX_EMPTY = 2**24
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
_NOT_IN_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class WireError(ValueError):
    """The value cannot be sent, or the bytes are not those of a value."""


class TooLarge(WireError):
    """More bytes than the reader allows."""


class EndOfStream(WireError):
    """The writer has closed its end."""


class OutOfTime(WireError):
    """The deadline passed while waiting for bytes."""


def pack(value) -> bytes:
    """The bytes of `value`. Tuples travel as lists, lone surrogates as question marks.

    Raises:
        WireError: the value holds something else, or is too deep or too big to be read again.
    """
    arrays = []
    try:
        text = json.dumps(_encode(value, arrays, 0), ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise WireError("the value cannot be written: it is nested too deeply") from None
    header = text.encode("utf-8", "replace")
    _check_header(header)
    return b"".join([MAGIC, struct.pack(">I", len(header)), header, *arrays])


def _encode(value, arrays: list[bytes], depth: int):
    if depth > MAX_DEPTH:
        raise WireError(f"a value may be at most {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, (bool, str)):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, int):
        if abs(value) > 2**64:
            raise WireError(f"integers must fit 64 bits, got one of {value.bit_length()} bits")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"f": str(float(value))}
    if isinstance(value, (list, tuple)):
        return [_encode(item, arrays, depth + 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise WireError("the keys of a dict must be strings")
        return {"d": {str(key): _encode(item, arrays, depth + 1) for key, item in value.items()}}
    if isinstance(value, np.ndarray):
        name = value.dtype.name
        if name not in DTYPES:
            raise WireError(f"arrays of dtype {value.dtype} cannot be sent")
        _check_shape(value.shape, value.itemsize)
        arrays.append(value.astype(DTYPES[name], order="C", copy=False).tobytes())
        return {"a": [name, list(value.shape)]}
    raise WireError(f"a {type(value).__name__} cannot be sent")


def unpack(data: bytes | memoryview, *, max_bytes: int, max_nodes: int = MAX_NODES):
    """The value whose bytes these are; its arrays are fresh, aligned and writable.

    Raises:
        WireError: `data` is longer than `max_bytes`, its tree has more than `max_nodes` parts, or
            it is not what `pack` writes.
    """
    data = memoryview(data).cast("B")
    if len(data) > max_bytes:
        raise TooLarge(f"at most {max_bytes} bytes are read, got {len(data)}")
    if len(data) < 8 or data[:4] != MAGIC:
        raise WireError("these bytes do not begin as a value does")
    end = 8 + struct.unpack(">I", data[4:8])[0]
    if end > len(data):
        raise WireError("the header is longer than the bytes")
    header = bytes(data[8:end])
    _check_header(header, max_nodes)
    try:
        tree = json.loads(
            header.decode("utf-8"),
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header is not JSON: {error}") from None
    body = _Body(data[end:])
    value = _decode(tree, body, 0)
    if body.left:
        raise WireError(f"{body.left} bytes follow the last array")
    return value


def _check_header(header: bytes, max_nodes: int = MAX_NODES) -> None:
    """Bound what reading the header can cost, before it is read."""
    if len(header) > MAX_HEADER:
        raise TooLarge(f"a header may have {MAX_HEADER} bytes, got {len(header)}")
    nodes = header.count(b",") + header.count(b"[") + header.count(b"{")
    if nodes > max_nodes:  # commas within strings count too: an upper bound is enough
        raise TooLarge(f"a value may have {max_nodes} parts, got up to {nodes}")


def _check_shape(shape, itemsize: int) -> None:
    if len(shape) > MAX_AXES or any(n < 0 or n > MAX_AXIS for n in shape):
        raise WireError("an array has too many or too long axes")
    # An empty array is free to send, and may be dear to its reader: a sum over its axis of length
    # 0 has the size of all others.
    if math.prod(max(n, 1) for n in shape) * itemsize > (MAX_EMPTY if 0 in shape else 2**40):
        raise WireError("an array is too large")


def _parse_int(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) > 2**64:
        raise WireError("an integer does not fit 64 bits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise WireError("a number is out of range")
    return number


def _refuse_constant(name: str):
    raise WireError(f"{name} is not JSON")


def _unique_keys(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise WireError("a key occurs twice")
    return found


class _Body:
    """The arrays' bytes, taken from front to back."""

    def __init__(self, data: memoryview):
        self._data = data
        self.left = len(data)

    def take(self, n_bytes: int) -> memoryview:
        if n_bytes > self.left:
            raise WireError(f"an array needs {n_bytes} bytes, {self.left} are left")
        start = len(self._data) - self.left
        self.left -= n_bytes
        return self._data[start : start + n_bytes]


def _decode(node, body: _Body, depth: int):
    if depth > MAX_DEPTH:
        raise WireError(f"a value may be at most {MAX_DEPTH} levels deep")
    if isinstance(node, str):
        return _check_text(node)
    if isinstance(node, list):
        return [_decode(item, body, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    match list(node.items()):
        case [("d", dict(items))]:
            return {_check_text(key): _decode(it, body, depth + 1) for key, it in items.items()}
        case [("a", [str(name), list(shape)])] if name in DTYPES:
            return _decode_array(DTYPES[name], shape, body)
        case [("f", str(name))] if name in _NOT_IN_JSON:
            return _NOT_IN_JSON[name]
    raise WireError("an object of the header is none that is known")


def _check_text(text: str) -> str:
    """Strings that can be written again: a lone surrogate would break a log or a gradebook."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise WireError("a string holds a lone surrogate") from None
    return text


def _decode_array(dtype: np.dtype, shape: list, body: _Body) -> np.ndarray:
    if any(type(n) is not int for n in shape):
        raise WireError("a shape must be a list of integers")
    _check_shape(shape, dtype.itemsize)
    raw = body.take(math.prod(shape) * dtype.itemsize)
    array = np.frombuffer(raw, np.uint8).copy()
    if dtype.kind == "b" and (array > 1).any():
        raise WireError("a boolean array holds something else")
    return array.view(dtype).reshape(shape)


def write_frame(fd: int, data: bytes, *, deadline: float | None = None) -> None:
    """Write `data` to `fd` behind its length, all of it.

    Args:
        deadline: a time of `time.monotonic()`, for a file that does not block.

    Raises:
        OutOfTime: the deadline passed.
    """
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    for part in (struct.pack(">Q", len(data)), data):
        left = memoryview(part)
        while left:
            if deadline is not None and not ready.poll(_milliseconds_until(deadline)):
                raise OutOfTime("nobody read before the deadline")
            left = left[os.write(fd, left) :]


def read_frame(fd: int, *, max_bytes: int, deadline: float) -> bytes:
    """The next frame from `fd`, a pipe or a socket; `deadline` is a time of `time.monotonic()`.

    Raises:
        EndOfStream: the writer closed its end, before the frame or within it.
        OutOfTime: the deadline passed.
        TooLarge: the frame claims more than `max_bytes`.
    """
    (length,) = struct.unpack(">Q", _read_exactly(fd, 8, deadline))
    if length > max_bytes:
        raise TooLarge(f"at most {max_bytes} bytes are read, got a frame of {length}")
    return _read_exactly(fd, length, deadline)


def _read_exactly(fd: int, n_bytes: int, deadline: float) -> bytes:
    parts = bytearray()
    ready = select.poll()
    ready.register(fd, select.POLLIN)
    while len(parts) < n_bytes:
        # What is there already came in time, however late it is read.
        if not ready.poll(_milliseconds_until(deadline)):
            raise OutOfTime("nothing came before the deadline")
        chunk = os.read(fd, min(n_bytes - len(parts), 2**20))
        if not chunk:
            raise EndOfStream("the writer has closed its end")
        parts += chunk
    return bytes(parts)


def _milliseconds_until(deadline: float) -> float:
    return 1000 * max(0.0, deadline - time.monotonic())
