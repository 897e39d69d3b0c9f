"""Data from a sandbox: what is sent arrives, and what an attacker sends does no harm."""

import json
import math
import os
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_lib.checks.observe.wall import wire

LIMIT = 2**24
steady = settings(deadline=None, derandomize=True)  # no clock, and the same examples each time

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
arrays = st.sampled_from(sorted(wire.DTYPES)).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)
scalars = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | text
values = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def same(left, right) -> bool:
    """Equal in value and in type; nan equals nan."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return (left.dtype, left.shape) == (right.dtype, right.shape) and (
            left.tobytes() == right.tobytes()
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return left == right or (left != left and right != right)


def read_or_refuse(data: bytes):
    """Unpack, and let no exception pass but the one that is promised."""
    try:
        return wire.unpack(data, max_bytes=LIMIT)
    except wire.WireError:
        return None


def with_header(header, body: bytes = b"") -> bytes:
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return wire.MAGIC + struct.pack(">I", len(header)) + header + body


@steady
@given(values)
def test_what_is_packed_arrives_unchanged(value):
    assert same(wire.unpack(wire.pack(value), max_bytes=LIMIT), value)


@steady
@given(arrays)
def test_arrays_arrive_aligned_and_writable(array):
    _, arrived = wire.unpack(wire.pack(["an odd offset", array]), max_bytes=LIMIT)
    assert arrived.flags.aligned
    assert arrived.flags.writeable
    assert arrived.flags.owndata or arrived.base.flags.owndata


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4).T, np.arange(9)[::-2], np.arange(5, dtype=">f8")],
    ids=["transposed", "reversed", "big-endian"],
)
def test_arrays_of_any_layout_keep_their_values(array):
    assert np.array_equal(wire.unpack(wire.pack(array), max_bytes=LIMIT), array)


def test_tuples_arrive_as_lists_and_nan_as_nan():
    arrived = wire.unpack(wire.pack({"shape": (2, 3), "loss": math.nan}), max_bytes=LIMIT)
    assert arrived["shape"] == [2, 3]
    assert math.isnan(arrived["loss"])


def test_lone_surrogates_never_leave():
    assert wire.unpack(wire.pack("a\ud800b"), max_bytes=LIMIT) == "a?b"


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, b"bytes", 2**70, np.array([object()]), np.array(["text"]), np.float32(1)],
    ids=["object", "key", "bytes", "integer", "objects", "strings", "scalar"],
)
def test_what_cannot_be_sent_is_refused(value):
    with pytest.raises(wire.WireError):
        wire.pack(value)


def test_values_that_hold_themselves_are_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(wire.WireError, match="deep"):
        wire.pack(endless)


@steady
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    assert read_or_refuse(data) is None


@steady
@given(st.binary(max_size=60), st.binary(max_size=40))
def test_random_headers_are_read_or_refused(header, body):
    read_or_refuse(with_header(header, body))


@settings(steady, max_examples=300)
@given(values, st.data())
def test_changed_bytes_are_read_or_refused(value, draw):
    data = bytearray(wire.pack(value))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    read_or_refuse(bytes(data))


@steady
@given(values, st.data())
def test_cut_bytes_are_refused(value, draw):
    data = wire.pack(value)
    cut = draw.draw(st.integers(0, len(data) - 1))
    assert read_or_refuse(data[:cut]) is None
    assert read_or_refuse(data + b"\0") is None


json_values = st.recursive(
    scalars | st.sampled_from(sorted(wire.DTYPES)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("adfx"), inner, max_size=2)
    ),
    max_leaves=12,
)


@steady
@given(json_values, st.binary(max_size=40))
def test_any_json_header_is_read_or_refused(header, body):
    read_or_refuse(with_header(json.dumps(header).encode(), body))


HOSTILE = {
    "claims a terabyte": with_header({"a": ["float64", [2**20, 2**17]]}),
    "claims more than any memory": with_header({"a": ["uint8", [2**31] * 16]}),
    "has a huge empty shape": with_header({"a": ["float64", [0, *[2**31] * 15]]}),
    "has an empty shape whose sum is huge": with_header({"a": ["float64", [0, 2**28]]}),
    "has a negative axis": with_header({"a": ["uint8", [-1, -4]]}, b"1234"),
    "has a true axis": with_header({"a": ["uint8", [True]]}, b"1"),
    "has a float axis": with_header({"a": ["uint8", [1.0]]}, b"1"),
    "holds objects": with_header({"a": ["object", [1]]}, bytes(8)),
    "has a structured dtype": with_header({"a": ["i4,i4", [1]]}, bytes(8)),
    "holds booleans of 2": with_header({"a": ["bool", [1]]}, b"\2"),
    "is deep": with_header(b"[" * 100_000 + b"]" * 100_000),
    "is as deep as the reader": with_header(b"[" * 200_000),
    "is many": with_header(b"[" + b"0," * 2_000_000 + b"0]"),
    "is many empty lists": with_header(b"[" + b"[]," * 1_000_000 + b"0]"),
    "has a long integer": with_header(b"9" * 4_000_000),
    "has a large exponent": with_header(b"1e999"),
    "has a constant": with_header(b"NaN"),
    "has a key twice": with_header(b'{"d":{"x":1,"x":2}}'),
    "has two kinds": with_header(b'{"d":{},"a":["bool",[0]]}'),
    "has a surrogate": with_header(b'"\\ud800"'),
    "has a surrogate key": with_header(b'{"d":{"\\udfff":1}}'),
    "claims a long header": wire.MAGIC + struct.pack(">I", 2**32 - 1) + b"{}",
    "is a pickle": b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_refused_and_cost_nothing(data):
    tracemalloc.start()
    try:
        with pytest.raises(wire.WireError):
            wire.unpack(data, max_bytes=LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data) + 2**20


def test_a_tree_of_more_parts_than_allowed_is_refused():
    data = wire.pack(list(range(100)))
    with pytest.raises(wire.TooLarge):
        wire.unpack(data, max_bytes=LIMIT, max_nodes=99)


def test_more_bytes_than_allowed_are_refused():
    data = wire.pack(np.zeros(100))
    with pytest.raises(wire.TooLarge):
        wire.unpack(data, max_bytes=len(data) - 1)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def soon() -> float:
    return time.monotonic() + 20


def test_frames_arrive_in_order_and_whole(pipe):
    reader, writer = pipe
    frames = [b"", b"x", os.urandom(300_000)]  # the last is longer than a pipe holds
    sender = threading.Thread(target=lambda: [wire.write_frame(writer, f) for f in frames])
    sender.start()
    arrived = [wire.read_frame(reader, max_bytes=2**20, deadline=soon()) for _ in frames]
    sender.join()
    assert arrived == frames


def test_a_frame_that_claims_too_much_is_refused(pipe):
    reader, writer = pipe
    os.write(writer, b"\xff" * 8)
    with pytest.raises(wire.TooLarge):
        wire.read_frame(reader, max_bytes=2**20, deadline=soon())


def test_a_silent_writer_costs_no_more_than_the_deadline(pipe):
    reader, writer = pipe
    os.write(writer, b"\0\0\0")
    with pytest.raises(wire.OutOfTime):
        wire.read_frame(reader, max_bytes=2**20, deadline=time.monotonic() + 0.05)


def test_a_writer_that_leaves_within_a_frame_is_noticed():
    reader, writer = os.pipe()
    os.write(writer, struct.pack(">Q", 10) + b"half")
    os.close(writer)
    with pytest.raises(wire.EndOfStream):
        wire.read_frame(reader, max_bytes=2**20, deadline=soon())
    os.close(reader)
