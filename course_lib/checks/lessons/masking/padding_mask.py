"""What must hold of `padding_mask`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import arguments_unchanged, raises, returns, same_device
from .fixtures import LESSON

padding_mask = ComponentCheck("padding_mask", "masking", LESSON)


def _real_keys(lengths: np.ndarray, n_keys: int) -> np.ndarray:
    """Row by row, by hand."""
    rows = [[[position < length for position in range(n_keys)]] for length in lengths]
    return np.array(rows, dtype=bool)


@padding_mask.core(
    "text b has lengths[b] real keys, and one row of keys serves all its queries",
    hint="True where a key is real; (B, 1, S), and the 1 is where the queries broadcast",
    fits=("shape",),
)
def padding_mask_values(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    by_hand = np.array([0, 2, 4])
    drawn = draw.integers(0, n_keys, n_texts)
    drawn[:3] = [n_keys, 0, 1]
    square = draw.integers(0, n_keys, n_keys)
    square[:2] = [1, n_keys]
    for lengths, size in ((by_hand, 4), (drawn, n_keys), (square, n_keys), (drawn[3:], n_keys + 2)):
        if len(lengths):
            yield padding_mask.call(lengths, size, names=["lengths"]).expect(
                returns(_real_keys(lengths, size), dtype="float64")
            )
    for lengths, size in (([1], 1), ([290, 0, 129], 300)):
        expected = returns(_real_keys(lengths, size), dtype="float64")
        yield padding_mask.call(np.array(lengths), size).expect(expected)


@padding_mask.edge(
    "a length outside 0..n_keys: ValueError",
    hint="test both ends: a negative length and one beyond n_keys",
)
def padding_mask_refuses(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    for wrong in (n_keys + 1, n_keys + 40, -1, -n_keys):
        lengths = draw.integers(0, n_keys, n_texts)
        lengths[int(draw.integers(0, n_texts - 1))] = wrong
        yield padding_mask.call(lengths, n_keys).expect(raises("ValueError", "lengths", str(wrong)))


@padding_mask.edge(
    "lengths of any integer type, unchanged, and the mask on their device",
    hint="compare lengths with torch.arange: their dtype and their numbers stay as they are",
    fits=("raised",),
)
def padding_mask_leaves_lengths(draw: Draw):
    n_texts, n_keys = draw.sizes(2)
    lengths = draw.integers(0, n_keys, n_texts)
    lengths[0] = 0
    yield padding_mask.call(lengths, n_keys).expect(arguments_unchanged(["lengths"]))
    yield padding_mask.call(lengths, n_keys, watch_devices=True).expect(same_device)
    yield padding_mask.call(lengths.astype(np.int32), n_keys).expect(
        returns(_real_keys(lengths, n_keys), dtype="float64")
    )


@padding_mask.asked(
    "real sizes",
    "texts of thousands of tokens",
    hint="positions are int64, as torch.arange makes them: small integers end at 127",
)
def padding_mask_of_real_size(draw: Draw):
    n_keys = 4099  # a mask of every query and key, which some would make, still fits a laptop
    lengths = np.array([n_keys, 3001, 257, 0])
    expected = np.arange(n_keys) < lengths[:, None, None]
    yield padding_mask.call(lengths, n_keys).expect(returns(expected, dtype="float64"))


@padding_mask.nothing_to_do
def padding_mask_without_padding(draw: Draw):
    for lengths in ([4, 4, 4], [0, 0, 0]):
        yield padding_mask.call(np.array(lengths), 4, names=["lengths"])


@padding_mask.asked(
    "real sizes",
    "a thousand texts and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def padding_mask_of_many_texts(draw: Draw):
    for n_texts in (1031, 1025):
        lengths = draw.integers(0, 3, n_texts)
        expected = np.arange(3) < lengths[:, None, None]
        yield padding_mask.call(lengths, 3).expect(returns(expected, dtype="float64"))


@padding_mask.asked(
    "real sizes",
    "lengths of a narrow integer type, and more keys than it has numbers for",
    hint="lengths.long() first: int8 has no 300",
    fits=("raised", "shape"),
)
def padding_mask_of_narrow_lengths(draw: Draw):
    # 300 and 70,000 are no numbers of such a type.
    for kind, size, largest in ((np.int8, 300, 127), (np.int16, 70_000, 32_767)):
        lengths = np.array([largest, 0, 1, largest - 3, 1])
        expected = returns(np.arange(size) < lengths[:, None, None], dtype="float64")
        yield padding_mask.call(lengths.astype(kind), size).expect(expected)
    for kind, wrong in ((np.int8, -1), (np.int8, 120), (np.int16, 300)):
        lengths = np.array([1, wrong, 0], dtype=kind)
        yield padding_mask.call(lengths, 101).expect(raises("ValueError", "lengths", str(wrong)))
