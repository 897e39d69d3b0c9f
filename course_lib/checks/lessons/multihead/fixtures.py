"""What the checks of multi-head attention share."""

import numpy as np

LESSON = "04_multi_head_attention"
CALL = ("x", "mask")
MANY = (16, 7, 5, 3)  # texts, tokens, heads, channels: a share of all deviates by about 1 %


def dealt_out(x: np.ndarray, n_heads: int) -> np.ndarray:
    """Head by head: a block of neighbouring channels each."""
    return np.stack(np.split(x, n_heads, axis=-1), axis=-3)


def numbered(*shape: int) -> np.ndarray:
    """0, 1, 2, … in reading order: every entry says where it comes from."""
    return np.arange(float(np.prod(shape))).reshape(shape)


def joined(x: np.ndarray) -> np.ndarray:
    """Head by head: each one's channels after those of the head before."""
    return np.concatenate([x[..., h, :, :] for h in range(x.shape[-3])], axis=-1)
