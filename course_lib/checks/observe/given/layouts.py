"""How a tensor lies in memory: the same numbers, as real programs hand them over."""

import numpy as np
import torch
from torch import Tensor


def _transposed(tensor: Tensor) -> Tensor:
    """Laid out with its axes in the opposite order."""
    axes = tuple(range(tensor.dim()))[::-1]
    return tensor.permute(axes).contiguous().permute(axes)


def _sliced(tensor: Tensor) -> Tensor:
    """Cut out of the middle of a larger one."""
    larger = _nothing_like(tensor, [size + 3 for size in tensor.shape])
    part = larger[tuple(slice(1, 1 + size) for size in tensor.shape)]
    return part.copy_(tensor)


def _every_second(tensor: Tensor) -> Tensor:
    """Every second number of a larger one."""
    larger = _nothing_like(tensor, [2 * size for size in tensor.shape])
    return larger[tuple(slice(None, None, 2) for _ in tensor.shape)].copy_(tensor)


def _odd_strides(tensor: Tensor) -> Tensor:
    """With strides of no meaning where an axis is 1 long, as torch itself sometimes leaves them."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    strides = [7 if size == 1 else step for size, step in sizes]
    return tensor.as_strided(tensor.shape, strides)


def _expanded(tensor: Tensor) -> Tensor:
    """One row that stands for all of them, where they are all alike."""
    if tensor.dim() < 2 or not torch.equal(tensor, tensor[:1].expand_as(tensor)):
        return tensor
    return tensor[:1].clone().expand_as(tensor)


BACKWARDS = "that run backwards through memory, as x[::-1] does"


def _nothing_like(tensor: Tensor, shape: list[int]) -> Tensor:
    """Memory that nobody should look at: nan, where there is one."""
    return tensor.new_full(shape, torch.nan if tensor.is_floating_point() else 1)


LAYOUTS = {
    "as it comes": lambda tensor: tensor,
    "transposed in memory, as x.mT is": _transposed,
    "sliced from a larger one": _sliced,
    "every second of a larger one": _every_second,
    "with odd strides at axes of size 1": _odd_strides,
    BACKWARDS: lambda tensor: tensor,  # what NumPy has and torch has not
    "expanded from one row": _expanded,
}


def lay_out(tensor: Tensor, layout: str) -> Tensor:
    """The same numbers, laid out as `layout` says."""
    return LAYOUTS[layout](tensor)


def lay_out_array(array: np.ndarray, layout: str) -> np.ndarray:
    """The same of a NumPy array."""
    if layout == BACKWARDS:
        backwards = tuple(slice(None, None, -1) for _ in array.shape)
        return np.ascontiguousarray(array[backwards])[backwards]
    return lay_out(torch.from_numpy(array), layout).numpy()
